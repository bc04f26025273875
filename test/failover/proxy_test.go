// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"

	"roost.dev/roost/internal/sandbox"
)

// call is a request of a manager that the API server answered.
type call struct {
	at           time.Time
	method, path string
	status       int
}

// writes says that the call changes what specs look at: no event, no Lease, no question about permissions.
func (c call) writes() bool {
	return c.method != http.MethodGet && !strings.Contains(c.path, "/events") && !strings.Contains(c.path, "/leases") &&
		!strings.HasPrefix(c.path, "/apis/auth")
}

func (c call) succeeded() bool { return c.status >= 200 && c.status < 300 }

func (c call) evicts() bool {
	return c.method == http.MethodPost && strings.HasSuffix(c.path, "/eviction")
}

func (c call) removesPod() bool {
	return c.method == http.MethodDelete && strings.Contains(c.path, "/pods/")
}

func (c call) detaches() bool {
	return c.method == http.MethodDelete && strings.Contains(c.path, "/volumeattachments/")
}

func (c call) taints() bool {
	return c.method == http.MethodPatch && strings.HasPrefix(c.path, "/api/v1/nodes/")
}

func (c call) writesStatus() bool { return c.writes() && strings.HasSuffix(c.path, "/status") }

// destroys says that the call ends a pod or an attachment.
func (c call) destroys() bool { return c.evicts() || c.removesPod() || c.detaches() }

// hold keeps a write from the API server.
type hold struct {
	// which is the write to hold: the first that it is true for.
	which func(call) bool
	// passes has the API server see the write after all. Otherwise it is answered 503, as if it had never been sent.
	passes bool
	// held is closed when the write is there, and let go goes on with it when it is closed.
	held, release chan struct{}
}

// proxy stands between a manager and the API server, and notes every call.
type proxy struct {
	upstream *httputil.ReverseProxy

	mu    sync.Mutex
	calls []call
	hold  *hold
	// left is how many writes are still to succeed before then is called, 0 where none is waited for.
	left int
	then func()
}

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
	options.Through = p.listen
	m, err := box.StartManager(ctx, options)
	Expect(err).NotTo(HaveOccurred())
	return m
}

func (p *proxy) listen(upstream *rest.Config) (string, error) {
	target, err := url.Parse(upstream.Host)
	if err != nil {
		return "", fmt.Errorf("reading the address of the API server: %w", err)
	}
	transport, err := rest.TransportFor(upstream)
	if err != nil {
		return "", fmt.Errorf("making a transport to the API server: %w", err)
	}
	p.upstream = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      transport,
		FlushInterval:  -1, // watches
		ModifyResponse: p.answered,
		// A manager that was killed does not hear the answer.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(p)
	DeferCleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL, nil
}

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := p.holds(call{method: r.Method, path: r.URL.Path}); h != nil {
		close(h.held)
		<-h.release
		if !h.passes {
			http.Error(w, "held", http.StatusServiceUnavailable)
			return
		}
	}
	p.upstream.ServeHTTP(w, r)
}

// holds takes the hold that is for the call, if there is one.
func (p *proxy) holds(c call) *hold {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hold
	if h == nil || !c.writes() || !h.which(c) {
		return nil
	}
	p.hold = nil
	return h
}

// answered notes a call that the API server has answered, before the manager hears of it.
func (p *proxy) answered(response *http.Response) error {
	c := call{at: time.Now(), method: response.Request.Method, path: response.Request.URL.Path, status: response.StatusCode}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, c)
	if p.left > 0 && c.writes() && c.succeeded() {
		if p.left--; p.left == 0 {
			p.then()
		}
	}
	return nil
}

// holdFirst holds the first write that which is true for.
func (p *proxy) holdFirst(which func(call) bool, passes bool) *hold {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = &hold{which: which, passes: passes, held: make(chan struct{}), release: make(chan struct{})}
	return p.hold
}

// afterWrite calls then after the n-th write from now on has succeeded, and before the manager hears that it has. What is
// returned takes that back.
func (p *proxy) afterWrite(n int, then func()) (disarm func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left, p.then = n, then
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.left = 0
	}
}

// count is how many calls there were of that kind.
func (p *proxy) count(which ...func(call) bool) int { return len(p.all(which...)) }

// all are the calls of which all that is asked is true, in order.
func (p *proxy) all(which ...func(call) bool) []call {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []call
next:
	for _, c := range p.calls {
		for _, is := range which {
			if !is(c) {
				continue next
			}
		}
		found = append(found, c)
	}
	return found
}
