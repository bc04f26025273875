// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/test/managerproxy"
)

// call is a request of a manager that the API server answered.
type call = managerproxy.Call

func evicts(c call) bool {
	return c.Method == http.MethodPost && strings.HasSuffix(c.Path, "/eviction")
}

func removesPod(c call) bool {
	return c.Method == http.MethodDelete && strings.Contains(c.Path, "/pods/")
}

func detaches(c call) bool {
	return c.Method == http.MethodDelete && strings.Contains(c.Path, "/volumeattachments/")
}

func taints(c call) bool {
	return c.Method == http.MethodPatch && strings.HasPrefix(c.Path, "/api/v1/nodes/")
}

// destroys says that the call ends a pod or an attachment.
func destroys(c call) bool { return evicts(c) || removesPod(c) || detaches(c) }

// proxy stands between a manager and the API server.
type proxy struct{ managerproxy.Proxy }

// managerThrough replaces the manager by one with a proxy in front of it, until the end of the spec.
func managerThrough(ctx context.Context, config string) *proxy {
	GinkgoHelper()
	box.Manager.Stop()
	p := &proxy{}
	box.Manager = p.manager(ctx, sandbox.ManagerOptions{Config: config})
	DeferCleanup(func(ctx SpecContext) { replaceManager(ctx, quick) }, NodeTimeout(patience))
	return p
}

// manager starts a manager that reaches the API server through the proxy.
func (p *proxy) manager(ctx context.Context, options sandbox.ManagerOptions) *sandbox.Manager {
	GinkgoHelper()
	DeferCleanup(p.Close)
	options.Through = p.Listen
	m, err := box.StartManager(ctx, options)
	Expect(err).NotTo(HaveOccurred())
	return m
}
