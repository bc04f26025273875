// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package managerproxy

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
)

// served is an API server that counts what reaches it, and a proxy in front of it.
type served struct {
	Proxy
	t       *testing.T
	url     string
	reached atomic.Int32
}

func serve(t *testing.T) *served {
	t.Helper()
	s := &served{t: t}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.reached.Add(1)
		if r.Header.Get("Upgrade") != "" {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "stream")
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
	}))
	t.Cleanup(upstream.Close)
	t.Cleanup(s.Close)
	var err error
	if s.url, err = s.Listen(&rest.Config{Host: upstream.URL}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *served) do(method, path string, header ...string) int {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range header {
		request.Header.Set("Connection", "Upgrade")
		request.Header.Set(name, "stream")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

const (
	claims = "/api/v1/namespaces/n/persistentvolumeclaims"
	events = "/apis/events.k8s.io/v1/namespaces/n/events"
	exec   = "/api/v1/namespaces/n/pods/db-0/exec"
)

func TestWritesAreCounted(t *testing.T) {
	s := serve(t)
	for _, c := range []struct{ method, path string }{
		{http.MethodGet, claims}, {http.MethodPost, claims}, {http.MethodPost, events}, {http.MethodPatch, claims + "/c/status"},
	} {
		s.do(c.method, c.path)
	}
	if code := s.do(http.MethodGet, exec, "Upgrade"); code != http.StatusSwitchingProtocols {
		t.Errorf("a stream is answered %d", code)
	}
	for name, tc := range map[string]struct {
		which []func(Call) bool
		want  int
	}{
		"all calls":     {nil, 5},
		"writes":        {[]func(Call) bool{Call.Writes, Call.Succeeded}, 3},
		"statuses":      {[]func(Call) bool{Call.WritesStatus}, 1},
		"commands":      {[]func(Call) bool{Call.Execs, Call.Succeeded}, 1},
		"none of these": {[]func(Call) bool{Call.WritesStatus, Call.Execs}, 0},
	} {
		if got := s.Count(tc.which...); got != tc.want {
			t.Errorf("%s = %d, want %d", name, got, tc.want)
		}
	}
}

func TestAfterIsCalledOnceBeforeTheAnswer(t *testing.T) {
	s := serve(t)
	called := 0
	s.After(2, Call.Writes, func() { called++ })
	for i, want := range []int{0, 1, 1} {
		s.do(http.MethodGet, claims)
		s.do(http.MethodPost, claims)
		if called != want {
			t.Errorf("called %d times after %d writes, want %d", called, i+1, want)
		}
	}
	disarm := s.After(1, Call.Writes, func() { called++ })
	disarm()
	s.do(http.MethodPost, claims)
	if called != 1 {
		t.Error("called although it was taken back")
	}
}

func TestAWriteIsHeld(t *testing.T) {
	for name, passes := range map[string]bool{"and lost": false, "and comes late": true} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			held := s.HoldFirst(Call.WritesStatus, passes)
			t.Cleanup(held.Release)
			answer := make(chan int, 1)
			go func() { answer <- s.do(http.MethodPatch, claims+"/c/status") }()
			<-held.Held
			s.do(http.MethodPost, claims) // others are not held
			if got := s.reached.Load(); got != 1 {
				t.Errorf("%d calls reached the API server, want 1", got)
			}
			held.Release()
			held.Release()
			want, reached := http.StatusServiceUnavailable, int32(1)
			if passes {
				want, reached = http.StatusOK, 2
			}
			if got := <-answer; got != want || s.reached.Load() != reached {
				t.Errorf("answered %d, and %d calls reached the API server; want %d and %d", got, s.reached.Load(), want, reached)
			}
		})
	}
}
