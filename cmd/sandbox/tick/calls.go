// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package tick

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"

	"k8s.io/client-go/rest"
)

// call is a kind of request to the API server.
type call struct {
	verb, resource string
	status         int
}

func (c call) reads() bool { return c.verb == "get" || c.verb == "list" }

// counter stands between the manager and the API server, and counts.
type counter struct {
	upstream *httputil.ReverseProxy

	mu    sync.Mutex
	calls map[call]int
	// open is how many requests have no answer yet, and highest the most since reset.
	open, highest int
}

// listen serves until stop is called.
func (c *counter) listen(upstream *rest.Config) (address string, stop func(), err error) {
	target, err := url.Parse(upstream.Host)
	if err != nil {
		return "", nil, fmt.Errorf("reading the address of the API server: %w", err)
	}
	transport, err := rest.TransportFor(upstream)
	if err != nil {
		return "", nil, fmt.Errorf("making a transport to the API server: %w", err)
	}
	c.upstream = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      transport,
		FlushInterval:  -1, // watches
		ModifyResponse: c.answered,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(c)
	return server.URL, func() {
		server.CloseClientConnections()
		server.Close()
	}, nil
}

// ServeHTTP implements http.Handler.
func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, counts := callOf(r); counts {
		c.opened(1)
		defer c.opened(-1)
	}
	c.upstream.ServeHTTP(w, r)
}

func (c *counter) opened(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open += n
	c.highest = max(c.highest, c.open)
}

func (c *counter) answered(response *http.Response) error {
	made, counts := callOf(response.Request)
	if !counts {
		return nil
	}
	made.status = response.StatusCode
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[made]++
	return nil
}

// reset counts from 0.
func (c *counter) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls, c.highest = map[call]int{}, c.open
}

// count is what came since reset: of each kind how many, and how many had no answer at a time at most.
func (c *counter) count() (calls map[call]int, highest int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls = make(map[call]int, len(c.calls))
	for made, times := range c.calls {
		calls[made] = times
	}
	return calls, c.highest
}

func (c *counter) total() int {
	calls, _ := c.count()
	total := 0
	for _, times := range calls {
		total += times
	}
	return total
}

// groups are those whose kinds the loops of snapshots and events are about. The core group is the empty one.
var groups = []string{"", "snapshot.roost.dev", "snapshot.storage.k8s.io", "groupsnapshot.storage.k8s.io", "events.k8s.io"}

// callOf says what a request does. It does not count where it is a watch, or of a group that snapshots have nothing to do with.
func callOf(r *http.Request) (made call, counts bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	group := ""
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		group, parts = parts[1], parts[3:]
	default:
		return call{}, false // discovery
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	made = call{verb: verbOf(r.Method, len(parts) > 1), resource: parts[0]}
	if len(parts) > 2 {
		made.resource += "/" + parts[2]
	}
	return made, slices.Contains(groups, group) && r.URL.Query().Get("watch") == ""
}

func verbOf(method string, named bool) string {
	switch method {
	case http.MethodGet:
		if named {
			return "get"
		}
		return "list"
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	default:
		return strings.ToLower(method)
	}
}

// through is for sandbox.ManagerOptions. It serves until ctx ends.
func (c *counter) through(ctx context.Context) func(*rest.Config) (string, error) {
	return func(upstream *rest.Config) (string, error) {
		address, stop, err := c.listen(upstream)
		if err == nil {
			context.AfterFunc(ctx, stop)
		}
		return address, err
	}
}
