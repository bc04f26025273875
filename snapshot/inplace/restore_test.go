// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/journal"
	"roost.dev/roost/snapshot/restore"
)

// told are the events since the last call.
func (w *world) told() string {
	var all strings.Builder
	for {
		select {
		case event := <-w.recorder.Events:
			all.WriteString(event + "\n")
		default:
			return all.String()
		}
	}
}

// rounds reconciles so often.
func (w *world) rounds(n int) {
	w.t.Helper()
	for range n {
		if _, err := w.look("undo"); err != nil && !apierrors.IsConflict(err) {
			w.t.Fatal(err)
		}
		w.settle()
	}
}

func (w *world) safety() *snapshotv1alpha1.ApplicationSnapshot {
	found := &snapshotv1alpha1.ApplicationSnapshot{}
	name := w.restore().Status.SafetySnapshotName
	if name == "" || w.api.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, found) != nil {
		return nil
	}
	return found
}

// TestRestored goes through a whole restore, and looks at what is left of it.
func TestRestored(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "shop", UID: "shop"}
	w.updateClaim("data-db-0", func(c *corev1.PersistentVolumeClaim) { c.OwnerReferences = []metav1.OwnerReference{owner} })
	uid := w.claim("data-db-0").UID
	w.ask()
	w.until("securing", w.phase(snapshotv1alpha1.RestoreSecuring))
	if got := w.running(); got != 0 {
		t.Errorf("%d pods run while the present state is kept, want 0", got)
	}
	safety := w.safety()
	if safety.Annotations[snapshotv1alpha1.AnnotationPinned] != "true" || safety.Spec.Hooks != nil {
		t.Errorf("the safety snapshot is %v %v, want it pinned and without hooks", safety.Annotations, safety.Spec)
	}
	if diff := cmp.Diff([]string{"data-db-0", "data-db-1"}, safety.Spec.ClaimNames); diff != "" {
		t.Errorf("claims of the safety snapshot (-want +got):\n%s", diff)
	}
	w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
	w.wantWorld(after)
	w.wantTold(uid, owner)
	writes := w.writes
	w.rounds(3)
	if w.writes != writes {
		t.Errorf("%d writes after the restore was over, want 0", w.writes-writes)
	}
}

// wantTold checks status, owners and events of a restore that is done. uid is what the claim's was.
func (w *world) wantTold(uid types.UID, owner metav1.OwnerReference) {
	w.t.Helper()
	claim, planned := w.claim("data-db-0"), w.member("data-db-0")
	if claim.UID == uid || planned.OldUID != uid || planned.UID != claim.UID || planned.State != snapshotv1alpha1.ClaimRestored {
		w.t.Errorf("the claim's UID was %s and is %s, in the status %s and %s", uid, claim.UID, planned.OldUID, planned.UID)
	}
	if diff := cmp.Diff([]metav1.OwnerReference{owner}, claim.OwnerReferences); diff != "" {
		w.t.Errorf("owners (-want +got):\n%s", diff)
	}
	status := w.restore().Status
	for _, kind := range []string{snapshotv1alpha1.ConditionRestored, snapshotv1alpha1.ConditionUndoable} {
		if !meta.IsStatusConditionTrue(status.Conditions, kind) {
			w.t.Errorf("condition %s is not True", kind)
		}
	}
	told := w.told()
	for _, reason := range []string{ReasonPlanned, ReasonStopping, ReasonSecuring, ReasonSwapping, ReasonClaimDeleted, ReasonStarting, ReasonCompleted} {
		if !strings.Contains(told, reason) {
			w.t.Errorf("no event %s in:\n%s", reason, told)
		}
	}
}

// TestTheApplicationRunsWhileVolumesAreMade has no downtime before the new volumes are there, and no held pod.
func TestTheApplicationRunsWhileVolumesAreMade(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.noProvisioner = true
	w.ask()
	w.rounds(5)
	w.says("waiting for the storage system to make the new volumes of data-db-0, data-db-1")
	if w.running() != 2 || w.claim("data-db-0").Annotations[snapshotv1alpha1.AnnotationRestoring] != "" {
		t.Errorf("%d pods run and the claim is held: %v", w.running(), w.claim("data-db-0").Annotations)
	}
	temporary := w.claim(w.member("data-db-0").TemporaryClaim)
	if want := map[string]string{snapshotv1alpha1.LabelRestore: string(w.restore().UID), snapshotv1alpha1.LabelTemporary: "true"}; cmp.Diff(want, temporary.Labels) != "" {
		t.Errorf("the temporary claim has labels %v, want %v: a schedule would take it for the application's", temporary.Labels, want)
	}
	w.clock.Step(24*time.Hour + time.Second)
	w.until("failed", w.phase(snapshotv1alpha1.RestoreFailed))
	w.says("the deadline of 24h0m0s passed: waiting for the storage system")
	w.wantWorld(before)
}

// TestWaitsForItsTurn makes no volume before it may, and gives the place back once all are there.
func TestWaitsForItsTurn(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.full = true
	w.ask()
	w.rounds(3)
	w.says("waiting for its turn")
	if got := len(w.claims()); got != 2 {
		t.Errorf("there are %d claims, want the 2 of the application", got)
	}
	key := types.NamespacedName{Namespace: namespace, Name: "undo"}
	if diff := cmp.Diff(map[string]int{driver: 2}, w.entered[key]); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	w.full = false
	w.until("stopping", func() bool { return w.restore().Status.Phase != snapshotv1alpha1.RestorePopulating })
	if _, ok := w.entered[key]; ok {
		t.Error("the place is still taken though the volumes are there")
	}
}

// TestPlacedWhereTheOldVolumeIs has a class that waits for the first pod, of which there is none.
func TestPlacedWhereTheOldVolumeIs(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingWaitForFirstConsumer)
	w.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a0", Labels: map[string]string{corev1.LabelHostname: "a0"}}})
	w.updateVolume("old-data-db-0", func(v *corev1.PersistentVolume) {
		v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{"n1"}}},
		}}}}
	})
	w.updateClaim("data-db-1", func(c *corev1.PersistentVolumeClaim) { c.Annotations["volume.kubernetes.io/selected-node"] = "n1" })
	w.noProvisioner = true
	w.ask()
	w.rounds(3)
	for _, name := range []string{"data-db-0", "data-db-1"} {
		temporary := w.member(name).TemporaryClaim
		if got := w.claim(temporary).Annotations["volume.kubernetes.io/selected-node"]; got != "n1" {
			t.Errorf("the volume of %s is made on node %q, want n1", name, got)
		}
		w.updateClaim(temporary, func(c *corev1.PersistentVolumeClaim) { delete(c.Annotations, "volume.kubernetes.io/selected-node") })
	}
	w.noProvisioner = false
	w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
	w.updateClaim("data-db-1", func(c *corev1.PersistentVolumeClaim) { c.Annotations["volume.kubernetes.io/selected-node"] = "" })
}

// TestNothingIsReplacedWhileItIsUsed has what holds a volume stay, and the deadline pass.
func TestNothingIsReplacedWhileItIsUsed(t *testing.T) {
	for name, tc := range map[string]struct {
		hold, letGo func(*world)
		want        string
	}{
		"pods that do not end": {
			hold: func(w *world) { w.stuckPods = true }, letGo: func(w *world) { w.stuckPods = false },
			want: "waiting for 2 pods of StatefulSet db to end",
		},
		"a volume that is still attached": {
			hold: func(w *world) { w.stuckAttachments = true }, letGo: func(w *world) { w.stuckAttachments = false },
			want: "waiting for volume old-data-db-0 to be detached from node n1",
		},
		"a node that has not unmounted": {
			hold: func(w *world) { w.inUse("kubernetes.io/csi/" + driver + "^old-data-db-1") }, letGo: func(w *world) { w.inUse() },
			want: "waiting for node n1 to let go of volume old-data-db-1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storagev1.VolumeBindingImmediate)
			tc.hold(w)
			w.ask()
			w.rounds(10)
			w.says(tc.want)
			if got := w.restore().Status.Phase; got != snapshotv1alpha1.RestoreStopping {
				t.Errorf("phase is %s, want Stopping", got)
			}
			w.clock.Step(24*time.Hour + time.Second)
			w.until("failed", w.phase(snapshotv1alpha1.RestoreFailed))
			tc.letGo(w)
			w.settle()
			w.wantWorld(before)
		})
	}
}

func (w *world) inUse(handles ...corev1.UniqueVolumeName) {
	w.t.Helper()
	node := &corev1.Node{}
	w.must(w.api.Get(w.t.Context(), types.NamespacedName{Name: "n1"}, node))
	node.Status.VolumesInUse = handles
	w.must(w.api.Status().Update(w.t.Context(), node))
}

// withoutClaim restores until there is no claim of that name, and nobody makes it.
func (w *world) withoutClaim(name string) {
	w.t.Helper()
	w.ask()
	w.refuseTo("create", name)
	w.until("the claim is gone", func() bool { return w.claim(name) == nil })
}

// TestAClaimThatSomebodyElseMadeStays has somebody make the claim, with a volume of his own, in the moment in which there is none.
func TestAClaimThatSomebodyElseMadeStays(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.withoutClaim("data-db-0")
	made := w.claimFor("data-db-0", nil)
	made.Spec.VolumeName = "his"
	w.create(made)
	w.create(w.volumeFor(made, "his", "his"))
	w.refuse = nil
	w.settle()
	w.rounds(5)
	if claim := w.claim("data-db-0"); claim == nil || claim.UID != made.UID || claim.DeletionTimestamp != nil {
		t.Fatalf("the claim that somebody made was touched: %v", claim)
	}
	w.says("claim data-db-0 was made by somebody else while its volume changed: delete it to go on")
	w.keepsPresent()
	w.must(w.api.Delete(t.Context(), w.claim("data-db-0")))
	w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
	w.wantWorld(after)
}

// TestAClaimThatTheStatefulSetMadeIsCompleted has it scaled up in the moment in which there is no claim. Kubernetes binds the
// one that it makes to the volume that waits for one of that name.
func TestAClaimThatTheStatefulSetMadeIsCompleted(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.withoutClaim("data-db-0")
	w.scale(2)
	w.refuse = nil
	w.settle()
	w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
	w.wantWorld(after)
}

// TestAClaimMadeAnewBeforeTheSwapIsNotReplaced has the neighbouring case: it is another one by then.
func TestAClaimMadeAnewBeforeTheSwapIsNotReplaced(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.stuckSnapshots = true
	w.ask(func(r *snapshotv1alpha1.SnapshotRestore) { r.Spec.InPlace.ClaimNames = []string{"data-db-0"} })
	w.until("securing", w.phase(snapshotv1alpha1.RestoreSecuring))
	w.must(w.api.Delete(t.Context(), w.claim("data-db-0")))
	w.settle()
	w.create(w.claimFor("data-db-0", map[string]string{"app": "db"}))
	w.settle()
	made := w.claim("data-db-0").UID
	w.stuckSnapshots = false
	w.settle()
	w.until("failed", w.phase(snapshotv1alpha1.RestoreFailed))
	if got := w.claim("data-db-0").UID; got != made {
		t.Errorf("the claim is %s, want %s, which somebody made", got, made)
	}
}

// TestASwapBeginsWithTheClaimsOfThePlan and with no other, whatever was checked before.
func TestASwapBeginsWithTheClaimsOfThePlan(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.stuckSnapshots = true
	w.ask()
	w.until("securing", w.phase(snapshotv1alpha1.RestoreSecuring))
	w.makeAnewFor("data-db-1")
	p := &procedure{Reconciler: w.reconciler, journal: journal.Open[*snapshotv1alpha1.SnapshotRestore](w.client(), w.restore())}
	if problem, ok := restore.AsProblem(p.beginSwap(t.Context())); !ok || !problem.Final {
		t.Errorf("the swap begins though claim data-db-1 is another one: %v", problem)
	}
	if w.phase(snapshotv1alpha1.RestoreSwapping)() {
		t.Error("the swap began")
	}
}

// TestScaledUpMeanwhile has somebody scale the workload while the claims change their volumes: its pods are held, and it is left
// as it is.
func TestScaledUpMeanwhile(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.stuckSnapshots = true
	w.ask()
	w.until("securing", w.phase(snapshotv1alpha1.RestoreSecuring))
	w.rounds(1)
	w.scale(1)
	w.settle()
	if got := w.running(); got != 0 {
		t.Fatalf("%d pods run, want them held", got)
	}
	w.stuckSnapshots = false
	w.settle()
	w.told()
	w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
	if got := *w.set().Spec.Replicas; got != 1 {
		t.Errorf("replicas are %d, want 1, which somebody wanted meanwhile", got)
	}
	if told := w.told(); !strings.Contains(told, "StatefulSet db was scaled to 1 meanwhile and had 2 before") {
		t.Errorf("events:\n%s", told)
	}
	w.keepsPresent()
}

// TestUsedAgainBeforeTheSwap has a scheduler without RestoreGate start a pod while the safety snapshot is taken.
func TestUsedAgainBeforeTheSwap(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.stuckSnapshots, w.noGate = true, true
	w.ask()
	w.until("securing", w.phase(snapshotv1alpha1.RestoreSecuring))
	w.rounds(1)
	w.scale(2)
	w.settle()
	w.stuckSnapshots = false
	w.settle()
	w.rounds(5)
	w.says("waiting for 2 pods of StatefulSet db to end")
	if got := w.claim("data-db-0").DeletionTimestamp; got != nil {
		t.Error("the claim of a running pod is deleted")
	}
	w.scale(0)
	w.settle()
	w.noGate = false
	w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
}

// TestUsedAgainDuringTheSwap has a pod start when its claim is about to be deleted: that waits.
func TestUsedAgainDuringTheSwap(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.ask()
	w.until("securing", w.phase(snapshotv1alpha1.RestoreSecuring))
	w.lookOnce("the swap begins")
	if got := w.restore().Status.Phase; got != snapshotv1alpha1.RestoreSwapping {
		t.Fatalf("phase is %s, want Swapping", got)
	}
	w.noGate = true
	w.scale(2)
	w.settle()
	w.rounds(5)
	w.says("waiting for 1 pod of StatefulSet db to end")
	if got := w.claim("data-db-0").DeletionTimestamp; got != nil {
		t.Error("the claim of a running pod is deleted")
	}
	w.scale(0)
	w.settle()
	w.noGate = false
	w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
}

// TestTheOwnerIsNamed has an operator above the StatefulSet: it is told before the stop, and while pods do not end.
func TestTheOwnerIsNamed(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	set := w.set()
	set.OwnerReferences = []metav1.OwnerReference{{APIVersion: "example.com/v1", Kind: "Database", Name: "shop", UID: "shop", Controller: ptr.To(true)}}
	w.must(w.api.Update(t.Context(), set))
	w.stuckPods = true
	w.ask()
	w.rounds(6)
	w.says("waiting for 2 pods of StatefulSet db to end (StatefulSet db: Database shop may scale it back)")
	if told := w.told(); !strings.Contains(told, ReasonOwned) || !strings.Contains(told, "StatefulSet db is going to be scaled to 0: Database shop may scale it back") {
		t.Errorf("events:\n%s", told)
	}
	if got := w.restore().Status.Workloads[0].Owner; got != "Database shop may scale it back" {
		t.Errorf("owner in the status is %q", got)
	}
}

func TestWithoutASafetySnapshot(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.ask(func(r *snapshotv1alpha1.SnapshotRestore) {
		r.Spec.InPlace.SafetySnapshot = snapshotv1alpha1.SafetySnapshotNone
	})
	w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
	if w.safety() != nil {
		t.Error("a safety snapshot was taken that nobody asked for")
	}
	w.wantWorld(after)
}

// TestASnapshotOfTheSafetySnapshotsName is another's: nothing is replaced on its account.
func TestASnapshotOfTheSafetySnapshotsName(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.ask()
	w.create(&snapshotv1alpha1.ApplicationSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: temporaryName("undo", w.restore().UID)}})
	w.until("failed", w.phase(snapshotv1alpha1.RestoreFailed))
	w.says("there is another ApplicationSnapshot")
	w.wantWorld(before)
}

// TestTwoRestoresOfOneClaim both make their volumes before either holds the claims.
func TestTwoRestoresOfOneClaim(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.ask()
	w.create(&snapshotv1alpha1.SnapshotRestore{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "again"}, Spec: w.restore().Spec})
	w.noProvisioner = true
	w.rounds(2)
	// The second one is as if it had looked before the first one wrote its plan.
	mine := w.restore()
	planned := mine.DeepCopy()
	mine.Status.Claims = nil
	w.must(w.api.Status().Update(t.Context(), mine))
	for range 3 {
		if _, err := w.look("again"); err != nil {
			t.Fatal(err)
		}
	}
	mine = w.restore()
	mine.Status = planned.Status
	w.must(w.api.Status().Update(t.Context(), mine))
	if other := w.restoreNamed("again"); other.Status.Phase != snapshotv1alpha1.RestorePopulating {
		t.Fatalf("the second one is %s: %s", other.Status.Phase, other.Status.Message)
	}
	w.noProvisioner = false
	w.settle()
	for range 60 {
		for _, name := range []string{"undo", "again"} {
			if _, err := w.look(name); err != nil && !apierrors.IsConflict(err) {
				t.Fatal(err)
			}
			w.settle()
		}
	}
	got := map[string]snapshotv1alpha1.RestorePhase{"undo": w.restore().Status.Phase, "again": w.restoreNamed("again").Status.Phase}
	want := map[string]snapshotv1alpha1.RestorePhase{"undo": snapshotv1alpha1.RestoreCompleted, "again": snapshotv1alpha1.RestoreFailed}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	w.wantWorld(after)
}

// TestALostVolumeIsSeenBeforeTheFirstClaimIsDeleted has the last of several new volumes lost.
func TestALostVolumeIsSeenBeforeTheFirstClaimIsDeleted(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	uid := w.claim("data-db-0").UID
	w.ask()
	w.until("securing", w.phase(snapshotv1alpha1.RestoreSecuring))
	w.loseVolumeOf("data-db-1")
	w.until("failed", w.phase(snapshotv1alpha1.RestoreFailed))
	w.wantWorld(before)
	if got := w.claim("data-db-0").UID; got != uid {
		t.Errorf("claim data-db-0 was replaced though the restore could not be")
	}
}

// TestAClaimThatAnotherRestoreHoldsByThen is not held twice, and its mark stays when everything is taken back.
func TestAClaimThatAnotherRestoreHoldsByThen(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.noProvisioner = true
	w.ask()
	w.rounds(2)
	w.updateClaim("data-db-1", func(c *corev1.PersistentVolumeClaim) { c.Annotations[snapshotv1alpha1.AnnotationRestoring] = "other" })
	w.noProvisioner = false
	w.settle()
	w.until("failed", w.phase(snapshotv1alpha1.RestoreFailed))
	w.says("claim data-db-1 is being restored by SnapshotRestore other")
	if got := w.claim("data-db-1").Annotations[snapshotv1alpha1.AnnotationRestoring]; got != "other" {
		t.Errorf("the claim is held for %q, want other", got)
	}
	w.updateClaim("data-db-1", func(c *corev1.PersistentVolumeClaim) { delete(c.Annotations, snapshotv1alpha1.AnnotationRestoring) })
	w.wantWorld(before)
}

// TestANewVolumeThatSomebodyTook is left to him, and the restore goes back.
func TestANewVolumeThatSomebodyTook(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.ask()
	w.until("securing", w.phase(snapshotv1alpha1.RestoreSecuring))
	w.lookOnce("the swap begins")
	taken := w.member("data-db-1").NewVolume
	his := corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: namespace, Name: "his", UID: "his"}
	w.updateVolume(taken, func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = &his })
	w.until("failed", w.phase(snapshotv1alpha1.RestoreFailed))
	if volume := w.volume(taken); volume == nil || volume.Spec.ClaimRef.UID != his.UID || volume.Spec.PersistentVolumeReclaimPolicy != retain {
		t.Errorf("the volume that somebody took is %v", volume)
	}
	w.must(w.api.Delete(t.Context(), w.volume(taken)))
	w.wantWorld(before)
}

// TestAQuotaOnTheWay has the claim refused that is made again: it is tried until it is not.
func TestAQuotaOnTheWay(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.ask()
	w.refuse = func(verb string, object client.Object) error {
		if verb == "create" && object.GetName() == "data-db-1" {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "persistentvolumeclaims"}, "data-db-1", errors.New("exceeded quota: claims"))
		}
		return nil
	}
	w.until("the claim is gone", func() bool { return w.claim("data-db-1") == nil })
	w.rounds(3)
	w.says("exceeded quota")
	w.refuse = nil
	w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
	w.wantWorld(after)
}
