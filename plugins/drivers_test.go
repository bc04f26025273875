// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	fwk "k8s.io/kube-scheduler/framework"

	"roost.dev/roost/drivers"
)

// framework is a handle with what drivers need of one.
type framework struct {
	fwk.Handle
	config *rest.Config
}

func (f framework) KubeConfig() *rest.Config { return f.config }

func (f framework) SharedInformerFactory() informers.SharedInformerFactory {
	return informers.NewSharedInformerFactory(fake.NewClientset(), 0)
}

// apiServer answers every request with the handler, until the test ends.
func apiServer(t *testing.T, handler http.HandlerFunc) framework {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return framework{config: &rest.Config{Host: server.URL}}
}

func notServed(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }

// addOn is a driver of an out-of-tree build.
type addOn struct{}

func (addOn) Run(ctx context.Context) error  { <-ctx.Done(); return nil }
func (addOn) HasSynced() bool                { return true }
func (addOn) Subscribe(func(drivers.Change)) {}
func (addOn) Locate(id drivers.VolumeID) (drivers.Location, bool) {
	return drivers.Location{}, id.Handle == "theirs"
}

func TestTheStartDoesNotWaitForAStorageSystemThatDoesNotAnswer(t *testing.T) {
	tests := map[string]http.HandlerFunc{
		"reading is forbidden": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"the API server hangs": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	}
	for name, handler := range tests {
		t.Run(name, func(t *testing.T) {
			shared := NewDrivers(drivers.NewMetrics())
			shared.firstSync = 100 * time.Millisecond
			registry, err := shared.Registry(t.Context(), apiServer(t, handler))
			if err != nil {
				t.Fatalf("Registry: %v", err)
			}
			if missing := registry.NotSynced(); !slices.Contains(missing, "published") {
				t.Errorf("not synced: %v, want published among them", missing)
			}
		})
	}
}

func TestTheStartWaitsForWhatIsPublished(t *testing.T) {
	registry, err := NewDrivers(drivers.NewMetrics()).Registry(t.Context(), apiServer(t, notServed))
	if err != nil {
		t.Fatalf("Registry: %v", err)
	}
	if missing := registry.NotSynced(); slices.Contains(missing, "published") {
		t.Errorf("not synced: %v, want published to have been waited for", missing)
	}
}

func TestProfilesShareOneRegistry(t *testing.T) {
	shared := NewDrivers(drivers.NewMetrics(), drivers.Driver{
		Name: "add-on", Provisioners: []string{"csi.example.com"}, Source: addOn{}, Locator: addOn{},
	})
	handle := apiServer(t, notServed)
	first, err := shared.Registry(t.Context(), handle)
	if err != nil {
		t.Fatalf("Registry: %v", err)
	}
	second, err := shared.Registry(t.Context(), handle)
	if err != nil || first != second {
		t.Errorf("the second profile got registry %p and error %v, want %p and none", second, err, first)
	}
	if got := first.Locate(drivers.VolumeID{Provisioner: "csi.example.com", Handle: "theirs"}).Driver; got != "add-on" {
		t.Errorf("the volume is located by %q, want the out-of-tree driver", got)
	}
}

func TestRegistryRefusesWhatItCannotStart(t *testing.T) {
	tests := map[string]struct {
		shared *Drivers
		handle framework
		want   string
	}{
		"no kubeconfig": {shared: NewDrivers(drivers.NewMetrics()), want: "no kubeconfig"},
		"a driver whose name is taken": {
			shared: NewDrivers(drivers.NewMetrics(), drivers.Driver{Name: "generic", Source: addOn{}, Locator: addOn{}}),
			handle: framework{config: &rest.Config{Host: "localhost"}},
			want:   `"generic": name is taken`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := tc.shared.Registry(t.Context(), tc.handle)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want one with %q", err, tc.want)
			}
		})
	}
}
