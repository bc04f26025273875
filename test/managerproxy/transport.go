// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package managerproxy

import (
	"fmt"
	"net/http"

	"k8s.io/client-go/rest"
)

// transport reaches the API server. A connection that becomes a stream, as that of a command in a pod, cannot be one of HTTP/2.
type transport struct{ plain, upgrading http.RoundTripper }

func newTransport(upstream *rest.Config) (*transport, error) {
	plain, err := rest.TransportFor(upstream)
	if err != nil {
		return nil, fmt.Errorf("making a transport to the API server: %w", err)
	}
	config := rest.CopyConfig(upstream)
	config.NextProtos = []string{"http/1.1"}
	upgrading, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("making a transport for streams to the API server: %w", err)
	}
	return &transport{plain: plain, upgrading: upgrading}, nil
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Upgrade") != "" {
		return t.upgrading.RoundTrip(r)
	}
	return t.plain.RoundTrip(r)
}
