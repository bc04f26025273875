// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package managerproxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
)

// Proxy stands between a manager and the API server, and notes every call. The zero value is ready.
type Proxy struct {
	mu      sync.Mutex
	servers []*httptest.Server
	calls   []Call
	hold    *Hold
	// left is how many calls that which is true for are still to succeed before then is called, 0 where none is waited for.
	left  int
	which func(Call) bool
	then  func()
}

// Listen serves what a manager asks of the API server that it is given the connection to, and returns where. Managers that come
// after each other may have one Proxy.
func (p *Proxy) Listen(upstream *rest.Config) (string, error) {
	target, err := url.Parse(upstream.Host)
	if err != nil {
		return "", fmt.Errorf("reading the address of the API server: %w", err)
	}
	transport, err := newTransport(upstream)
	if err != nil {
		return "", err
	}
	reverse := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      transport,
		FlushInterval:  -1, // watches
		ModifyResponse: p.answered,
		// A manager that was killed does not hear the answer.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, reverse) }))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.servers = append(p.servers, server)
	return server.URL, nil
}

// Close ends all that is served. What is held has to be released before.
func (p *Proxy) Close() {
	p.mu.Lock()
	servers := p.servers
	p.servers = nil
	p.mu.Unlock()
	for _, server := range servers {
		server.CloseClientConnections()
		server.Close()
	}
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request, upstream http.Handler) {
	if h := p.holds(Call{Method: r.Method, Path: r.URL.Path}); h != nil {
		close(h.Held)
		<-h.released
		if !h.passes {
			http.Error(w, "held", http.StatusServiceUnavailable)
			return
		}
	}
	upstream.ServeHTTP(w, r)
}

// holds takes the hold that is for the call, if there is one.
func (p *Proxy) holds(c Call) *Hold {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hold
	if h == nil || !c.Writes() || !h.which(c) {
		return nil
	}
	p.hold = nil
	return h
}

// answered notes a call that the API server has answered, before the manager hears of it.
func (p *Proxy) answered(response *http.Response) error {
	c := Call{
		At: clock.RealClock{}.Now(), Method: response.Request.Method, Path: response.Request.URL.Path, Status: response.StatusCode,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, c)
	if p.left > 0 && c.Succeeded() && p.which(c) {
		if p.left--; p.left == 0 {
			p.then()
		}
	}
	return nil
}

// After calls then after the n-th call from now on that which is true for has succeeded, and before the manager hears that it has.
// What is returned takes that back. then must not call the Proxy.
func (p *Proxy) After(n int, which func(Call) bool, then func()) (disarm func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left, p.which, p.then = n, which, then
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.left = 0
	}
}

// Count is how many calls there were of that kind.
func (p *Proxy) Count(which ...func(Call) bool) int { return len(p.All(which...)) }

// All are the calls of which all that is asked is true, in order.
func (p *Proxy) All(which ...func(Call) bool) []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []Call
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
