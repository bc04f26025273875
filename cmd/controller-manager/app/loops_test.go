// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/drivers"
)

// silent is a driver that never syncs.
type silent struct{}

func (silent) Run(ctx context.Context) error                                { <-ctx.Done(); return nil }
func (silent) HasSynced() bool                                              { return false }
func (silent) Subscribe(func(drivers.Change))                               {}
func (silent) Locate(drivers.VolumeID) (location drivers.Location, ok bool) { return location, false }

// startCaches starts caches with one informer, and ends them with the test.
func startCaches(t *testing.T, extra ...drivers.Driver) *caches {
	t.Helper()
	factory := informers.NewSharedInformerFactory(fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}}), 0)
	factory.Core().V1().Nodes().Informer()
	registry := drivers.NewRegistry(clock.RealClock{}, drivers.NewMetrics())
	for _, driver := range extra {
		if err := registry.Add(driver); err != nil {
			t.Fatal(err)
		}
	}
	warm := newCaches(factory, registry)
	if err := warm.check(nil); err == nil || !strings.Contains(err.Error(), "informers have not synced") {
		t.Errorf("before the start, the check says %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- warm.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Start: %v", err)
		}
	})
	return warm
}

func TestReadyWhenTheCachesAre(t *testing.T) {
	warm := startCaches(t)
	if err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true,
		func(context.Context) (bool, error) { return warm.check(nil) == nil, nil }); err != nil {
		t.Errorf("not ready: %v", warm.check(nil))
	}
}

// Loops do not wait for a driver that is silent: the other storage systems need them.
func TestASilentDriverIsNotReadyAndHoldsUpNoLoop(t *testing.T) {
	warm := startCaches(t, drivers.Driver{Name: "silent", Source: silent{}, Locator: silent{}})
	if !warm.wait(t.Context()) {
		t.Fatal("the informers did not sync")
	}
	if err := warm.check(nil); err == nil || !strings.Contains(err.Error(), "have not synced: silent") {
		t.Errorf("the check says %v, want the driver named", err)
	}
}

func TestLeading(t *testing.T) {
	cold := newCaches(nil, nil)
	warm := newCaches(nil, nil)
	close(warm.informed)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	runs := 0
	counted := func(err error) manager.RunnableFunc {
		return func(context.Context) error { runs++; return err }
	}
	tests := map[string]struct {
		ctx      context.Context
		warm     *caches
		err      error
		want     string
		wantRuns int
	}{
		"stopped before the caches are warm: the loop never runs": {ctx: stopped, warm: cold},
		"a loop that fails":          {ctx: t.Context(), warm: warm, err: errors.New("broken"), want: `running the loop "test": broken`, wantRuns: 1},
		"a loop that ends by itself": {ctx: t.Context(), warm: warm, want: `the loop "test" ended although nobody stopped it`, wantRuns: 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			runs = 0
			l := &leading{name: "test", loop: counted(tc.err), warm: tc.warm}
			got := ""
			if err := l.Start(tc.ctx); err != nil {
				got = err.Error()
			}
			if got != tc.want || runs != tc.wantRuns {
				t.Errorf("error %q after %d runs, want %q after %d", got, runs, tc.want, tc.wantRuns)
			}
		})
	}
}

func TestOnlyLoopsNeedTheLease(t *testing.T) {
	if newCaches(nil, nil).NeedLeaderElection() {
		t.Error("the caches wait for the Lease, and a manager that takes over starts cold")
	}
	if !(&leading{}).NeedLeaderElection() {
		t.Error("loops run in every manager at once")
	}
}

func TestGenericHealth(t *testing.T) {
	second := func(n time.Duration) metav1.Duration { return metav1.Duration{Duration: n * time.Second} }
	config := managerv1alpha1.GenericSignals{
		PluginNotReadyAfter: second(1), BootGrace: second(2), LeaseStaleAfter: second(3), AttachErrorsAfter: second(4),
		NodePlugins: []managerv1alpha1.NodePlugin{{
			Provisioner: "csi.example.com", Namespace: "storage", Selector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "node"}},
		}},
	}
	got, err := genericHealth(&config)
	if err != nil {
		t.Fatal(err)
	}
	want := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second}
	if diff := cmp.Diff(want, []time.Duration{got.PluginNotReadyAfter, got.BootGrace, got.LeaseStaleAfter, got.AttachErrorsAfter}); diff != "" {
		t.Errorf("times (-want +got):\n%s", diff)
	}
	plugin := got.NodePlugins[0]
	if plugin.Provisioner != "csi.example.com" || plugin.Namespace != "storage" || !plugin.Selector.Matches(labels.Set{"app": "node"}) ||
		plugin.Selector.Matches(labels.Set{"app": "other"}) {
		t.Errorf("node plugin = %+v", plugin)
	}
	config.NodePlugins[0].Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Is"}}
	if _, err := genericHealth(&config); err == nil || !strings.Contains(err.Error(), `"csi.example.com"`) {
		t.Errorf("error = %v, want one that names the driver", err)
	}
}
