// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/storagehealth/failover"
	"roost.dev/roost/storagehealth/verdict"
)

func TestStorageNodesAreMadeOnce(t *testing.T) {
	w := newWorld(t)
	w.pass(5 * time.Second)
	if got := w.wroteSince(0, "create "); got != 6 {
		t.Errorf("%d StorageNodes were made, want 6", got)
	}
	object := w.storageNode("node-0")
	want := storagev1alpha1.StorageNodeStatus{State: storagev1alpha1.HealthHealthy, StorageState: "Online", Reason: "Serving", Volumes: 1}
	got := object.Status
	got.Since, got.Conditions = nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if len(object.OwnerReferences) != 1 || object.OwnerReferences[0].UID != "node-0" {
		t.Errorf("owners %v, want the Node", object.OwnerReferences)
	}
}

func TestNoStorageNodeWhereNoneIsWanted(t *testing.T) {
	w := newWorld(t)
	w.reconcile(verdict.Key{Provisioner: "unused.example.com", Node: "node-0"})
	w.reconcile(verdict.Key{Provisioner: provisioner, Node: "gone"})
	if len(w.writes) > 0 {
		t.Errorf("writes %q, want none", w.writes)
	}
}

// TestFirstVolumesAtOnce has both volumes in the index before the first of them is told.
func TestFirstVolumesAtOnce(t *testing.T) {
	w := newWorld(t)
	driver := "new.example.com"
	node := makeCSINode("node-0", provisioner, driver)
	if err := w.controller.followed[3].informer.GetIndexer().Update(node); err != nil {
		t.Fatal(err)
	}
	volumes := []*corev1.PersistentVolume{builders.MakePV("a").CSI(driver, "a").Obj(), builders.MakePV("b").CSI(driver, "b").Obj()}
	for _, pv := range volumes {
		if err := w.controller.volumes.Add(pv); err != nil {
			t.Fatal(err)
		}
	}
	before := w.controller.queue.Len()
	for _, pv := range volumes {
		w.controller.volumeAdded(pv, false)
	}
	if got := w.controller.queue.Len() - before; got != 7 {
		t.Fatalf("%d StorageNodes are looked at, want those of six nodes and the new driver's", got)
	}
	w.reconcile(verdict.Key{Provisioner: driver, Node: "node-0"})
	if got := w.wroteSince(0, "create "+driver); got != 1 {
		t.Errorf("%d StorageNodes were made for the new driver, want 1", got)
	}
}

func TestIdleWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.pass(5 * time.Second)
	n := len(w.writes)
	w.pass(10 * time.Minute)
	for i := range 6 {
		w.reconcile(keyOn("node-" + string(rune('0'+i))))
	}
	if len(w.writes) != n {
		t.Errorf("writes without a change: %q", w.writes[n:])
	}
}

func TestFailover(t *testing.T) {
	w := newWorld(t)
	w.pass(5 * time.Second)
	n := len(w.writes)
	w.states["node-0"] = drivers.Offline
	w.pass(5 * time.Second)
	if got := w.storageNode("node-0").Status; got.State != storagev1alpha1.HealthSuspect || got.PodsAtRisk != 1 {
		t.Errorf("after 5 s: %s with %d pods at risk, want Suspect with 1", got.State, got.PodsAtRisk)
	}
	w.pass(10 * time.Second)
	name := provisioner + ".node-0"
	want := []string{"status " + name + " Suspect", "status " + name + " Unhealthy", "eviction db", "status " + name + " Unhealthy", "status " + name + " FailedOver"}
	if diff := cmp.Diff(want, w.writes[n:]); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	got := w.storageNode("node-0").Status
	if over := got.Failover; over == nil || over.Moved != 1 || over.CompletionTime == nil || over.Refused != 0 || len(over.Pods) != 0 {
		t.Errorf("journal %+v, want one pod moved and an end", over)
	}
	if want := "the disk is gone. No pod with its volumes is left on the node."; got.Message != want {
		t.Errorf("message %q, want %q", got.Message, want)
	}
	wantEvents(t, w.events(), failover.EventEvicting, EventUnhealthy, EventFailedOver)
}

func TestRecovery(t *testing.T) {
	w := newWorld(t)
	w.pass(5 * time.Second)
	w.states["node-0"] = drivers.Offline
	w.pass(15 * time.Second)
	w.events()
	w.states["node-0"] = drivers.Online
	w.pass(20 * time.Second)
	if got := w.storageNode("node-0").Status.State; got != storagev1alpha1.HealthRecovering {
		t.Errorf("20 s after it came back: %s, want Recovering", got)
	}
	w.pass(15 * time.Second)
	if got := w.storageNode("node-0").Status; got.State != storagev1alpha1.HealthHealthy || got.Message != "" {
		t.Errorf("35 s after it came back: %s %q, want Healthy", got.State, got.Message)
	}
	wantEvents(t, w.events(), EventRecovering, EventHealthy)
}

// wantEvents wants these reasons, each at least once, and no other.
func wantEvents(t *testing.T, got []string, want ...string) {
	t.Helper()
	reasons := map[string]bool{}
	for _, event := range got {
		reasons[strings.Fields(event)[1]] = true
	}
	for _, reason := range want {
		if !reasons[reason] {
			t.Errorf("no event %s among %q", reason, got)
		}
		delete(reasons, reason)
	}
	if len(reasons) > 0 {
		t.Errorf("events that were not wanted: %v, among %q", reasons, got)
	}
}

// TestCrash lets each write fail once, and a new controller go on from what the API server has.
func TestCrash(t *testing.T) {
	for crashAt := 1; crashAt <= 5; crashAt++ {
		w := newWorld(t)
		w.pass(5 * time.Second)
		n := len(w.writes)
		w.states["node-0"] = drivers.Offline
		crashed := false
		w.before = func(string) error {
			if !crashed && len(w.writes)-n == crashAt-1 {
				crashed = true
				return errors.New("crash")
			}
			return nil
		}
		for range 40 {
			w.pass(time.Second)
			if crashed {
				w.before, crashed = nil, false
				w.restart()
			}
		}
		status := w.storageNode("node-0").Status
		if status.State != storagev1alpha1.HealthFailedOver || status.Failover.Moved != 1 {
			t.Errorf("crash at write %d: %s with %d pods moved, want FailedOver with 1", crashAt, status.State, status.Failover.Moved)
		}
		if got := w.wroteSince(n, "eviction "); got != 1 {
			t.Errorf("crash at write %d: %d evictions, want 1; writes %q", crashAt, got, w.writes[n:])
		}
	}
}

func TestBrake(t *testing.T) {
	w := newWorld(t)
	w.pass(5 * time.Second)
	for _, node := range []string{"node-0", "node-2", "node-3"} {
		w.states[node] = drivers.Offline
	}
	w.pass(30 * time.Second)
	if got := w.wroteSince(0, "eviction "); got != 0 {
		t.Fatalf("%d evictions while half of the nodes are bad, want 0", got)
	}
	status := w.storageNode("node-0").Status
	braked := meta.FindStatusCondition(status.Conditions, storagev1alpha1.ConditionBraked)
	if braked == nil || braked.Status != metav1.ConditionTrue || braked.Reason != verdict.ReasonTooManyBadNodes {
		t.Errorf("condition %+v, want Braked for TooManyBadNodes", braked)
	}
	if !slices.ContainsFunc(w.events(), func(e string) bool { return strings.Contains(e, EventBraked) }) {
		t.Error("no event tells of the brake")
	}
	n := len(w.writes)
	w.pass(time.Minute)
	if len(w.writes) != n {
		t.Errorf("writes while a brake holds and nothing changes: %q", w.writes[n:])
	}
	w.states["node-3"] = drivers.Online
	w.states["node-2"] = drivers.Online
	w.pass(2 * time.Minute)
	if got := w.wroteSince(n, "eviction "); got != 1 {
		t.Errorf("%d evictions after the brake was released, want 1", got)
	}
}

func TestPause(t *testing.T) {
	for value, wantEvictions := range map[string]int{"Disabled": 0, "disabled": 0, "Enabled": 1} {
		w := newWorld(t)
		driver := &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: provisioner, Annotations: map[string]string{"roost.dev/failover": value}}}
		if _, err := w.kube.StorageV1().CSIDrivers().Update(t.Context(), driver, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		w.restart()
		w.pass(5 * time.Second)
		w.states["node-0"] = drivers.Offline
		w.pass(30 * time.Second)
		if got := w.wroteSince(0, "eviction "); got != wantEvictions {
			t.Errorf("annotation %q: %d evictions, want %d", value, got, wantEvictions)
		}
	}
}

// TestLooksAgain has a pod that stays for a reason that no event ends, and one that was moved.
func TestLooksAgain(t *testing.T) {
	for byDefault, want := range map[managerv1alpha1.Default]time.Duration{managerv1alpha1.Disabled: recheck, managerv1alpha1.Enabled: 0} {
		w := newWorld(t)
		w.config.Failover.Default = byDefault
		w.restart()
		w.pass(5 * time.Second)
		w.states["node-0"] = drivers.Offline
		w.pass(30 * time.Second)
		if got := w.storageNode("node-0").Status.State; got != storagev1alpha1.HealthFailedOver {
			t.Errorf("%s: state %s, want FailedOver", byDefault, got)
		}
		if got, err := w.controller.reconcile(t.Context(), keyOn("node-0")); err != nil || got != want {
			t.Errorf("%s: looks again after %s (error %v), want %s", byDefault, got, err, want)
		}
	}
}

func TestMaintenance(t *testing.T) {
	w := newWorld(t)
	w.pass(5 * time.Second)
	object := w.storageNode("node-0")
	object.Spec.Maintenance = true
	if err := w.client.Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	w.controller.storageNodeChanged(object)
	w.states["node-0"] = drivers.Offline
	w.pass(time.Minute)
	if got := w.wroteSince(0, "eviction "); got != 0 {
		t.Errorf("%d evictions from a node in maintenance, want 0", got)
	}
	if w.controller.usable(provisioner, "node-0") {
		t.Error("a node in maintenance takes pods")
	}
}

func TestDryRun(t *testing.T) {
	w := newWorld(t)
	w.config.Failover.Mode = managerv1alpha1.DryRun
	w.restart()
	w.pass(5 * time.Second)
	w.states["node-0"] = drivers.Offline
	w.pass(time.Minute)
	if got := w.wroteSince(0, "eviction "); got != 0 {
		t.Errorf("%d evictions in a dry run, want 0", got)
	}
	status := w.storageNode("node-0").Status
	if status.State != storagev1alpha1.HealthUnhealthy || !status.Failover.DryRun || len(status.Failover.Pods) != 1 || status.Failover.Pods[0].Reason != failover.WouldMove {
		t.Errorf("status %+v, want what would be moved", status)
	}
	if want := "the disk is gone. Dry run: would move 1 pod."; !strings.HasPrefix(status.Message, want) {
		t.Errorf("message %q, want %q", status.Message, want)
	}
}

// TestConflict has another manager write first: nothing is done on what was not written.
func TestConflict(t *testing.T) {
	w := newWorld(t)
	w.pass(5 * time.Second)
	w.states["node-0"] = drivers.Offline
	w.pass(9 * time.Second)
	object := w.storageNode("node-0")
	object.Labels = map[string]string{"touched": "by another"}
	if err := w.client.Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	n := len(w.writes)
	w.pass(10 * time.Second)
	if got := w.wroteSince(n, "eviction "); got != 0 {
		t.Errorf("%d evictions though the journal could not be written, want 0", got)
	}
	w.controller.storageNodeChanged(object)
	w.pass(5 * time.Second)
	if got := w.wroteSince(n, "eviction "); got != 1 {
		t.Errorf("%d evictions once it could, want 1", got)
	}
}

// TestAgreement has another manager come to the same verdict a moment later, and write it: nobody writes it again.
func TestAgreement(t *testing.T) {
	w := newWorld(t)
	w.pass(5 * time.Second)
	w.states["node-0"] = drivers.Offline
	w.pass(15 * time.Second)
	object := w.storageNode("node-0")
	object.Status.Since.Time = object.Status.Since.Add(time.Millisecond)
	if err := w.client.Status().Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	n := len(w.writes)
	w.controller.storageNodeChanged(object)
	w.pass(5 * time.Second)
	if len(w.writes) != n {
		t.Errorf("writes although all agree: %q", w.writes[n:])
	}
}

func TestNamesThatCollide(t *testing.T) {
	w := newWorld(t)
	taken := &storagev1alpha1.StorageNode{
		ObjectMeta: metav1.ObjectMeta{Name: provisioner + ".node-0"},
		Spec:       storagev1alpha1.StorageNodeSpec{Provisioner: "csi", NodeName: "example.com.node-0"},
	}
	if err := w.client.Create(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	w.reconcile(keyOn("node-0"))
	made := &storagev1alpha1.StorageNode{}
	if err := w.client.Get(t.Context(), client.ObjectKey{Name: hashedName(keyOn("node-0"))}, made); err != nil {
		t.Fatalf("the StorageNode was not made beside: %v", err)
	}
	if keyOf(made) != keyOn("node-0") {
		t.Errorf("it is for %v", keyOf(made))
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("a", 253)
	names := map[string]verdict.Key{}
	for _, key := range []verdict.Key{
		{Provisioner: "csi.example.com", Node: "node-0"}, {Provisioner: "csi.example.com", Node: long},
		{Provisioner: "csi.example.com", Node: long[:252] + "b"}, {Provisioner: "other.example.com", Node: long},
	} {
		name := objectName(key)
		if len(name) > maxName {
			t.Errorf("%v: %d characters", key, len(name))
		}
		if other, taken := names[name]; taken {
			t.Errorf("%v and %v have the same name", key, other)
		}
		names[name] = key
	}
}
