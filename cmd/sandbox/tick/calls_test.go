// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package tick

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
)

func TestCallOf(t *testing.T) {
	const snapshots = "/apis/snapshot.roost.dev/v1alpha1/namespaces/db/applicationsnapshots"
	for name, tc := range map[string]struct {
		method, url string
		want        call
		counts      bool
	}{
		"reading an object":           {http.MethodGet, snapshots + "/a", call{verb: "get", resource: "applicationsnapshots"}, true},
		"listing":                     {http.MethodGet, snapshots + "?labelSelector=a", call{verb: "list", resource: "applicationsnapshots"}, true},
		"watching":                    {http.MethodGet, snapshots + "?watch=true", call{verb: "list", resource: "applicationsnapshots"}, false},
		"creating":                    {http.MethodPost, snapshots, call{verb: "create", resource: "applicationsnapshots"}, true},
		"writing a status":            {http.MethodPut, snapshots + "/a/status", call{verb: "update", resource: "applicationsnapshots/status"}, true},
		"patching":                    {http.MethodPatch, snapshots + "/a", call{verb: "patch", resource: "applicationsnapshots"}, true},
		"of the core group":           {http.MethodGet, "/api/v1/namespaces/db/resourcequotas", call{verb: "list", resource: "resourcequotas"}, true},
		"a namespace itself":          {http.MethodGet, "/api/v1/namespaces/db", call{verb: "get", resource: "namespaces"}, true},
		"an object of no namespace":   {http.MethodGet, "/apis/snapshot.storage.k8s.io/v1/volumesnapshotcontents/a", call{verb: "get", resource: "volumesnapshotcontents"}, true},
		"an event":                    {http.MethodPost, "/apis/events.k8s.io/v1/namespaces/db/events", call{verb: "create", resource: "events"}, true},
		"what other loops are about":  {http.MethodGet, "/apis/csiaddons.openshift.io/v1alpha1/networkfences", call{verb: "list", resource: "networkfences"}, false},
		"looking for what there is":   {http.MethodGet, "/apis/snapshot.roost.dev/v1alpha1", call{}, false},
		"looking for groups":          {http.MethodGet, "/api", call{}, false},
		"nothing of the API server's": {http.MethodGet, "/", call{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, counts := callOf(httptest.NewRequest(tc.method, tc.url, nil))
			if got != tc.want || counts != tc.counts {
				t.Errorf("callOf() = %+v, %t, want %+v, %t", got, counts, tc.want, tc.counts)
			}
		})
	}
}

func TestCounter(t *testing.T) {
	arrived, answer := make(chan struct{}), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("hold") != "" {
			arrived <- struct{}{}
			<-answer
		}
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusConflict)
		}
	}))
	defer upstream.Close()
	c := &counter{calls: map[call]int{}}
	address, stop, err := c.listen(&rest.Config{Host: upstream.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	send := func(method, path string) {
		target, err := url.Parse(address + path)
		if err != nil {
			t.Error(err)
			return
		}
		response, err := http.DefaultClient.Do((&http.Request{Method: method, URL: target}).WithContext(t.Context()))
		if err != nil {
			t.Error(err)
			return
		}
		response.Body.Close()
	}
	send(http.MethodGet, "/api/v1/namespaces/before")
	c.reset()
	done := make(chan struct{})
	for range 2 {
		go func() {
			send(http.MethodGet, "/api/v1/namespaces/db?hold=1")
			done <- struct{}{}
		}()
	}
	<-arrived
	<-arrived
	close(answer)
	<-done
	<-done
	send(http.MethodPut, "/api/v1/namespaces/db/persistentvolumeclaims/a/status")
	send(http.MethodGet, "/api/v1/persistentvolumes?watch=true")
	calls, highest := c.count()
	want := map[call]int{{"get", "namespaces", 200}: 2, {"update", "persistentvolumeclaims/status", 409}: 1}
	if diff := cmp.Diff(want, calls, cmp.AllowUnexported(call{})); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if total := c.total(); highest != 2 || total != 3 {
		t.Errorf("%d at a time and %d in all, want 2 and 3", highest, total)
	}
}
