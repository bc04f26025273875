// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/storagehealth/candidates"
	"roost.dev/roost/storagehealth/failover"
)

// addPods makes that many pods more on node-0, which all use the volume.
func (w *world) addPods(n int) {
	w.t.Helper()
	for i := range n {
		pod := makePod(fmt.Sprintf("db-%d", i), "v")
		if err := w.client.Create(w.t.Context(), pod.DeepCopy()); err != nil {
			w.t.Fatal(err)
		}
		if _, err := w.kube.CoreV1().Pods(builders.Namespace).Create(w.t.Context(), pod, metav1.CreateOptions{}); err != nil {
			w.t.Fatal(err)
		}
	}
	w.restart()
}

func eventsOf(told []string, reason string) int {
	n := 0
	for _, event := range told {
		if strings.Fields(event)[1] == reason {
			n++
		}
	}
	return n
}

// newThrottled has six pods on a node whose storage failed, of which two may be moved in a minute, and two were.
func newThrottled(t *testing.T) *world {
	w := newWorld(t)
	w.config.Failover.PodsPerMinute = 2
	w.addPods(5)
	w.pass(5 * time.Second)
	w.states["node-0"] = drivers.Offline
	w.pass(15 * time.Second)
	return w
}

// TestBudgetIsSeen finds that the StorageNode says so in its condition, its message and one event, and a metric counts the
// pods.
func TestBudgetIsSeen(t *testing.T) {
	w := newThrottled(t)
	status := w.storageNode("node-0").Status
	braked := meta.FindStatusCondition(status.Conditions, storagev1alpha1.ConditionBraked)
	if braked == nil || braked.Status != metav1.ConditionTrue || braked.Reason != failover.Throttled || !strings.Contains(braked.Message, "no more than 2 may be moved") {
		t.Errorf("condition %+v, want Braked for Throttled", braked)
	}
	if want := "the disk is gone. 4 pods stay: 4 Throttled."; status.Message != want {
		t.Errorf("message %q, want %q", status.Message, want)
	}
	metrics := `# HELP roost_storagehealth_refusals Pods left on nodes whose storage failed, by CSI driver and reason, at most 32 a node.
# TYPE roost_storagehealth_refusals gauge
roost_storagehealth_refusals{provisioner="csi.example.com",reason="Throttled"} 4
`
	registry := prometheus.NewRegistry()
	registry.MustRegister(w.controller.metrics)
	if err := testutil.GatherAndCompare(registry, strings.NewReader(metrics), "roost_storagehealth_refusals", "roost_storagehealth_braked"); err != nil {
		t.Error(err)
	}
	told := w.events()
	if braked, perPod := eventsOf(told, EventBraked), eventsOf(told, failover.Throttled); braked != 1 || perPod != 0 {
		t.Errorf("%d events of the StorageNode and %d of pods, want 1 and 0; all of %q", braked, perPod, told)
	}
}

// TestBudgetIsWaitedFor finds that nothing is written while there is no room, that the pods are moved when there is, and that
// the brake is released then.
func TestBudgetIsWaitedFor(t *testing.T) {
	w := newThrottled(t)
	w.events()
	n := len(w.writes)
	if again, err := w.controller.reconcile(t.Context(), keyOn("node-0")); err != nil || again != busy {
		t.Errorf("looks again after %s (error %v), want %s: there may be room by then", again, err, busy)
	}
	w.pass(30 * time.Second)
	if len(w.writes) != n {
		t.Errorf("writes while the budget is used up and nothing changes: %q", w.writes[n:])
	}
	w.pass(3 * time.Minute)
	status := w.storageNode("node-0").Status
	if status.State != storagev1alpha1.HealthFailedOver || status.Failover.Moved != 6 || meta.IsStatusConditionTrue(status.Conditions, storagev1alpha1.ConditionBraked) {
		t.Errorf("in the end %s with %d pods moved, conditions %+v; want FailedOver with 6, and no brake", status.State, status.Failover.Moved, status.Conditions)
	}
	told := w.events()
	if braked, released := eventsOf(told, EventBraked), eventsOf(told, EventReleased); braked != 0 || released != 1 {
		t.Errorf("%d and %d events, want no other brake and one release; all of %q", braked, released, told)
	}
}

// TestOtherCopyFailsMeanwhile has the storage of the node with the other copies fail while the first of three pods is being
// evicted, in the same round.
func TestOtherCopyFailsMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.addPods(2)
	w.pass(5 * time.Second)
	w.states["node-0"] = drivers.Offline
	w.before = func(write string) error {
		if strings.HasPrefix(write, "eviction ") {
			w.states["node-1"] = drivers.Offline
		}
		return nil
	}
	n := len(w.writes)
	w.pass(12 * time.Second)
	if got := w.wroteSince(n, "eviction "); got != 1 {
		t.Errorf("%d evictions, want that of the first pod alone; writes %q", got, w.writes[n:])
	}
	left := map[string]string{}
	for _, pod := range w.storageNode("node-0").Status.Failover.Pods {
		left[pod.Name] = pod.Reason
	}
	if diff := cmp.Diff(map[string]string{"db-0": candidates.OnlyCopy, "db-1": candidates.OnlyCopy}, left); diff != "" {
		t.Errorf("pods that are left (-want +got):\n%s", diff)
	}
}
