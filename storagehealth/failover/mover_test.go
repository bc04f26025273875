// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/storagehealth/candidates"
	"roost.dev/roost/storagehealth/verdict"
)

func (w *world) wantLog(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.log); diff != "" {
		w.t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func wantReasons(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

func TestLiveNode(t *testing.T) {
	w := newWorld(t, join(makeNode(true), []client.Object{makePod("db-0", "a")}, makeVolume("a", ours))...)
	w.fence("a")
	wantReasons(t, w.advance("db-0"), "db-0: Evicted")
	w.wantLog("evict db-0 grace 30")
	wantReasons(t, w.advance("db-0"), "db-0: Evicted")
	w.release(&corev1.Pod{}, "db-0")
	wantReasons(t, w.advance("db-0"))
	w.wantLog("evict db-0 grace 30")
}

func TestLiveNodeWhosePodHangs(t *testing.T) {
	w := newWorld(t, join(makeNode(true), []client.Object{makePod("db-0", "a")}, makeVolume("a", ours))...)
	w.advance("db-0")
	w.clock.SetTime(time.Now().Add(terminationSlack + time.Minute))
	wantReasons(t, w.advance("db-0"), "db-0: NeedsProof")
	w.wantLog("evict db-0 grace 30")

	w.fence("a")
	wantReasons(t, w.advance("db-0"), "db-0: Detaching")
	wantReasons(t, w.advance("db-0"), "db-0: Detaching")
	w.wantLog("evict db-0 grace 30", "delete va-a")
	w.release(&storagev1.VolumeAttachment{}, "va-a")
	wantReasons(t, w.advance("db-0"), "db-0: Removed")
	w.wantLog("evict db-0 grace 30", "delete va-a", "delete db-0 grace 0")
	wantReasons(t, w.advance("db-0"))
}

func TestDeadNodeWithoutProof(t *testing.T) {
	w := newWorld(t, join(makeNode(false), []client.Object{makePod("db-0", "a")}, makeVolume("a", ours))...)
	wantReasons(t, w.advance("db-0"), "db-0: Evicted")
	w.clock.Step(time.Hour)
	wantReasons(t, w.advance("db-0"), "db-0: NeedsProof")
	w.clock.Step(24 * time.Hour)
	wantReasons(t, w.advance("db-0"), "db-0: NeedsProof")
	w.wantLog("evict db-0 grace 30")
}

// TestDeadNodePartlyFenced has another driver's volume attached to the node, of which nothing is proven: the node is not
// tainted, and only the proven pod's attachment goes, before the pod.
func TestDeadNodePartlyFenced(t *testing.T) {
	w := newWorld(t, join(makeNode(false), []client.Object{makePod("db-0", "a"), makePod("other-0", "b")},
		makeVolume("a", ours), makeVolume("b", theirs))...)
	w.fence("a")
	wantReasons(t, w.advance("db-0"), "db-0: Evicted")
	w.wantLog("delete db-0 grace 30")
	wantReasons(t, w.advance("db-0"), "db-0: Detaching")
	wantReasons(t, w.advance("db-0"), "db-0: Detaching")
	w.wantLog("delete db-0 grace 30", "delete va-a")
	w.release(&storagev1.VolumeAttachment{}, "va-a")
	wantReasons(t, w.advance("db-0"), "db-0: Removed")
	w.wantLog("delete db-0 grace 30", "delete va-a", "delete db-0 grace 0")
}

func TestDeadNodeFencedAsAWhole(t *testing.T) {
	w := newWorld(t, join(makeNode(false), []client.Object{makePod("db-0", "a"), makePod("db-1", "b")},
		makeVolume("a", ours), makeVolume("b", ours))...)
	w.fence("a", "b")
	wantReasons(t, w.advance("db-0", "db-1"), "db-0: Removed", "db-1: Removed")
	want := []string{"taint node-1", "delete db-0 grace 0", "delete db-1 grace 0"}
	w.wantLog(want...)

	wantReasons(t, w.advance("db-0", "db-1"))
	w.wantLog(want...) // attach-detach is not done
	if w.detaching != 2 {
		t.Errorf("%d volumes are being detached, want 2", w.detaching)
	}
	for _, name := range []string{"va-a", "va-b"} {
		object := &storagev1.VolumeAttachment{}
		object.Name = name
		if err := w.raw.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			t.Fatal(err)
		}
		if err := w.raw.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		w.release(object, name)
	}
	w.advance()
	w.wantLog(append(want, "untaint node-1")...)
}

// TestTaintThatDoesNotHold has the taint on a node and then takes away what it was set for, one at a time.
func TestTaintThatDoesNotHold(t *testing.T) {
	ending := makePod("plain")
	ending.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	for name, change := range map[string]func(*world){
		"the storage system lifts a fence": func(w *world) { clear(w.fences) },
		"another pod is ending there":      func(w *world) { _ = w.raw.Create(w.t.Context(), makePod("plain")); w.end("plain") },
		"the node is Ready again":          func(w *world) { w.setReady(true) },
		"it is a dry run by now":           func(w *world) { w.config.Mode = managerv1alpha1.DryRun; w.restart() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, join(makeNode(false), []client.Object{makePod("db-0", "a")}, makeVolume("a", ours))...)
			w.fence("a")
			w.advance("db-0")
			if !w.tainted() {
				t.Fatalf("the node was not tainted; writes %q", w.log)
			}
			change(w)
			w.advance()
			if w.tainted() {
				t.Errorf("the taint is still there; writes %q", w.log)
			}
		})
	}
}

// TestUntaint has our taint on a node, and asks for it to be taken off from outside of a failover.
func TestUntaint(t *testing.T) {
	for name, tc := range map[string]struct {
		ready, moving bool
		mode          managerv1alpha1.Mode
		stays         bool
	}{
		"stays on a dead node that pods are moved away from": {moving: true, mode: managerv1alpha1.Enforce, stays: true},
		"goes from one that no pod may be moved away from":   {mode: managerv1alpha1.Enforce},
		"goes from one that is Ready":                        {ready: true, moving: true, mode: managerv1alpha1.Enforce},
		"goes in a dry run":                                  {moving: true, mode: managerv1alpha1.DryRun},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, makeNode(tc.ready, outOfService))
			w.config.Mode = tc.mode
			w.restart()
			if err := w.mover.Untaint(t.Context(), sick, tc.moving); err != nil {
				t.Fatal(err)
			}
			if got := w.tainted(); got != tc.stays {
				t.Errorf("tainted: %t, want %t", got, tc.stays)
			}
		})
	}
}

// TestLeftovers has the pod gone, by whatever hand, and its volume still attached to the dead node.
func TestLeftovers(t *testing.T) {
	for name, tc := range map[string]struct {
		fenced []string
		want   []string
	}{
		"is detached where it is fenced, and the other driver's is not": {fenced: []string{"a"}, want: []string{"delete va-a"}},
		"stays where it is not fenced":                                  {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, join(makeNode(false), makeVolume("a", ours), makeVolume("b", theirs))...)
			w.fence(tc.fenced...)
			w.advance()
			w.advance()
			w.wantLog(tc.want...)
		})
	}
}

// TestBelieved has attach-detach take volumes of a dead node for attached whose attachments are gone.
func TestBelieved(t *testing.T) {
	name := func(handle string) corev1.AttachedVolume {
		return corev1.AttachedVolume{Name: corev1.UniqueVolumeName("kubernetes.io/csi/" + ours + "^" + handle)}
	}
	for title, tc := range map[string]struct {
		pods   []client.Object
		fenced []string
		want   []string
	}{
		"is told at once where the volume is fenced": {fenced: []string{"a"}, want: []string{"taint node-1"}},
		"looks for itself where it is not":           {},
		"is right where a pod uses the volume":       {fenced: []string{"a"}, pods: []client.Object{makePod("db-0", "a")}},
	} {
		t.Run(title, func(t *testing.T) {
			node := makeNode(false)
			node.Status.VolumesAttached = []corev1.AttachedVolume{name("a"), name("unknown"), {Name: "kubernetes.io/other/x"}}
			w := newWorld(t, join(node, makeVolume("a", ours)[:2], tc.pods)...)
			w.fence(tc.fenced...)
			w.advance()
			w.wantLog(tc.want...)
			if want := len(tc.want); w.detaching != want {
				t.Errorf("%d volumes are being detached, want %d", w.detaching, want)
			}
		})
	}
}

// TestBelievedIsLookedUp has a lister of all PersistentVolumes that fails the test: there may be ten thousand, and a hundred
// attached to one node.
func TestBelievedIsLookedUp(t *testing.T) {
	w := newWorld(t, join(makeNode(false), makeVolume("a", ours)[:2])...)
	w.mover.resolver.PVs = noList{w.mover.resolver.PVs, t}
	for handle, want := range map[string]string{"a": "pv-a", "b": ""} {
		pv := w.mover.volumeNamed(corev1.UniqueVolumeName("kubernetes.io/csi/" + ours + "^" + handle))
		if got := ptr.Deref(pv, corev1.PersistentVolume{}).Name; got != want {
			t.Errorf("volume %s is %q, want %q", handle, got, want)
		}
	}
}

type noList struct {
	corelisters.PersistentVolumeLister
	t *testing.T
}

func (l noList) List(labels.Selector) ([]*corev1.PersistentVolume, error) {
	l.t.Error("all PersistentVolumes are listed")
	return nil, nil
}

// TestNoTaint has a node that is dead, a pod on it that is fenced, and something else that forbids the taint.
func TestNoTaint(t *testing.T) {
	ending := makePod("ending", "b")
	ending.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	plain := makePod("plain")
	plain.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	inline := makePod("inline")
	inline.Spec.Volumes = []corev1.Volume{{Name: "share", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "filer"}}}}
	harmless := makePod("harmless")
	harmless.Spec.Volumes = []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	detached := builders.MakePV("pv-nfs").CSI(theirs, "nfs").ClaimedBy("nfs").Obj()
	tests := map[string]struct {
		objects []client.Object
		fenced  []string
		want    bool
	}{
		"every volume is fenced":                    {objects: append(makeVolume("b", ours), makePod("db-1", "b")), fenced: []string{"b"}, want: true},
		"an attachment without a pod is not fenced": {objects: makeVolume("b", ours)},
		"a volume that needs no attachment is in use and not fenced": {objects: []client.Object{
			makePod("nfs-0", "nfs"), builders.MakeClaim("nfs").BoundTo("pv-nfs").Obj(), detached}},
		"a pod that is not to be moved is ending": {objects: append(makeVolume("b", ours), ending), fenced: []string{"b"}},
		"a pod without volumes is ending":         {objects: []client.Object{plain}},
		"a pod mounts a share without a claim":    {objects: []client.Object{inline}},
		"a pod mounts what is the node's own":     {objects: []client.Object{harmless}, want: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, join(makeNode(false), []client.Object{makePod("db-0", "a")}, makeVolume("a", ours), tc.objects)...)
			w.fence(append(tc.fenced, "a")...)
			w.advance("db-0")
			if got := w.log[0] == "taint node-1"; got != tc.want {
				t.Errorf("tainted: %t, want %t; writes %q", got, tc.want, w.log)
			}
		})
	}
}

// TestTwoDrivers has a pod with volumes of two drivers: both must be fenced, and only ours is detached.
func TestTwoDrivers(t *testing.T) {
	w := newWorld(t, join(makeNode(false), []client.Object{makePod("db-0", "a", "b"), makePod("x-0", "c")},
		makeVolume("a", ours), makeVolume("b", theirs), makeVolume("c", theirs))...)
	w.fence("a")
	w.advance("db-0")
	wantReasons(t, w.advance("db-0"), "db-0: NeedsProof")
	w.wantLog("evict db-0 grace 30")
	w.fences[drivers.VolumeID{Provisioner: theirs, Handle: "b"}] = true
	w.held = sick + "/" + theirs
	wantReasons(t, w.advance("db-0"), "db-0: Braked") // the other driver's operator holds it
	w.held = ""
	w.advance("db-0")
	w.release(&storagev1.VolumeAttachment{}, "va-a")
	wantReasons(t, w.advance("db-0"), "db-0: Removed")
	w.wantLog("evict db-0 grace 30", "delete va-a", "delete db-0 grace 0")
}

func TestSharedVolume(t *testing.T) {
	w := newWorld(t, join(makeNode(false), []client.Object{makePod("db-0", "a"), makePod("x-0", "c")},
		makeVolume("a", ours), makeVolume("c", theirs))...)
	w.fence("a")
	w.advance("db-0")
	w.shared["pv-a"] = []*corev1.Pod{makePod("backup-0")}
	wantReasons(t, w.advance("db-0"), "db-0: SharedVolume")
	w.wantLog("delete db-0 grace 30")
	clear(w.shared)
	wantReasons(t, w.advance("db-0"), "db-0: Detaching")
}

// TestNothingIsDoneToWhatChanged changes the world after a job was made, or between two writes.
func TestNothingIsDoneToWhatChanged(t *testing.T) {
	renew := func(w *world) {
		pod := makePod("db-0")
		if err := w.raw.Get(w.t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
			w.t.Fatal(err)
		}
		pod.Finalizers = nil
		_ = w.raw.Update(w.t.Context(), pod)
		_ = w.raw.Delete(w.t.Context(), pod)
		successor := makePod("db-0", "a")
		successor.UID = "successor"
		if err := w.raw.Create(w.t.Context(), successor); err != nil {
			w.t.Fatal(err)
		}
	}
	finish := func(w *world) {
		pod := makePod("db-0")
		_ = w.raw.Get(w.t.Context(), client.ObjectKeyFromObject(pod), pod)
		pod.Status.Phase = corev1.PodSucceeded
		if err := w.raw.Status().Update(w.t.Context(), pod); err != nil {
			w.t.Fatal(err)
		}
	}
	changes := map[string]func(*world){
		"the pod has a successor of its name": renew,
		"the pod has finished":                finish,
		"the node is Ready again":             func(w *world) { w.setReady(true) },
		"a brake holds":                       func(w *world) { w.brake = &verdict.Brake{Reason: "TooManyBadNodes"} },
	}
	for name, change := range changes {
		t.Run(name+", before the first write", func(t *testing.T) {
			w := newWorld(t, join(makeNode(false), []client.Object{makePod("db-0", "a"), makePod("x-0", "c")},
				makeVolume("a", ours), makeVolume("c", theirs))...)
			w.fence("a")
			job := w.job("db-0")
			node := makeNode(false)
			change(w)
			reason, _ := w.mover.advance(t.Context(), job, &job.Candidates[0], node, false)
			w.wantLog()
			if reason == Removed || reason == Detaching {
				t.Errorf("reason %s", reason)
			}
		})
		t.Run(name+", after the attachment is gone", func(t *testing.T) {
			w := newWorld(t, join(makeNode(false), []client.Object{makePod("db-0", "a"), makePod("x-0", "c")},
				makeVolume("a", ours), makeVolume("c", theirs))...)
			w.fence("a")
			w.advance("db-0")
			w.advance("db-0")
			w.release(&storagev1.VolumeAttachment{}, "va-a")
			job := w.job("db-0")
			change(w)
			w.mover.advance(t.Context(), job, &job.Candidates[0], makeNode(false), false)
			w.wantLog("delete db-0 grace 30", "delete va-a")
		})
	}
}

// TestPodsAreJudgedAgain has the node with the other copies fail after the first of two pods was moved, in the same round.
func TestPodsAreJudgedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		ready  bool
		fenced []string
		want   []string
		log    []string
	}{
		"on a live node": {ready: true, want: []string{"db-0: Evicted", "db-1: OnlyCopy"}, log: []string{"evict db-0 grace 30"}},
		"on a dead node": {fenced: []string{"a", "b"}, want: []string{"db-0: Removed", "db-1: OnlyCopy"},
			log: []string{"taint node-1", "delete db-0 grace 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, join(makeNode(tc.ready), []client.Object{makePod("db-0", "a"), makePod("db-1", "b")},
				makeVolume("a", ours), makeVolume("b", ours))...)
			w.fence(tc.fenced...)
			w.before = func() {
				w.refusal["db-1"] = candidates.Refusal{Reason: candidates.OnlyCopy, Message: "its other copy is gone by now"}
			}
			wantReasons(t, w.advance("db-0", "db-1"), tc.want...)
			w.wantLog(tc.log...)
		})
	}
}

func TestProofThatIsWithdrawn(t *testing.T) {
	w := newWorld(t, join(makeNode(false), []client.Object{makePod("db-0", "a"), makePod("x-0", "c")},
		makeVolume("a", ours), makeVolume("c", theirs))...)
	w.fence("a")
	w.advance("db-0")
	w.advance("db-0")
	w.release(&storagev1.VolumeAttachment{}, "va-a")
	clear(w.fences)
	wantReasons(t, w.advance("db-0"), "db-0: NeedsProof")
	w.wantLog("delete db-0 grace 30", "delete va-a")
}

func TestRefusedPodsAreLeftAlone(t *testing.T) {
	w := newWorld(t, join(makeNode(true), []client.Object{makePod("db-0", "a")}, makeVolume("a", ours))...)
	job := w.job("db-0")
	job.Candidates[0].Refusal = candidates.Refusal{Reason: candidates.OnlyCopy}
	if result, err := w.mover.Advance(t.Context(), job); err != nil || len(result.Progress) > 0 {
		t.Errorf("Advance = %v, %v; want nothing", result, err)
	}
	w.wantLog()
}

func budgetError() error {
	err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: policyv1.DisruptionBudgetCause})
	return err
}

func TestDisruptionBudget(t *testing.T) {
	tests := map[string]struct {
		policy  managerv1alpha1.PDBPolicy
		forbids error
		want    []string
		log     []string
	}{
		"is respected for ever": {policy: managerv1alpha1.Respect, forbids: budgetError(),
			want: []string{"db-0: DisruptionBudget"}, log: []string{"evict db-0 grace 30", "evict db-0 grace 30"}},
		"is overridden after the deadline, with the pod's grace": {policy: managerv1alpha1.DeleteAfterDeadline, forbids: budgetError(),
			want: []string{"db-0: Evicted"}, log: []string{"evict db-0 grace 30", "evict db-0 grace 30", "delete db-0 grace 30"}},
		"an API server with too much to do is no budget": {policy: managerv1alpha1.DeleteAfterDeadline,
			forbids: apierrors.NewTooManyRequests("slow down", 1),
			want:    []string{"db-0: Failed"}, log: []string{"evict db-0 grace 30", "evict db-0 grace 30"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, join(makeNode(true), []client.Object{makePod("db-0", "a")}, makeVolume("a", ours))...)
			w.config.PDBPolicy = tc.policy
			w.restart()
			w.forbids = tc.forbids
			w.advance("db-0")
			w.clock.Step(5 * time.Minute)
			wantReasons(t, w.advance("db-0"), tc.want...)
			w.wantLog(tc.log...)
		})
	}
}

func TestDryRun(t *testing.T) {
	for name, ready := range map[string]bool{"on a live node": true, "on a dead node": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, join(makeNode(ready), []client.Object{makePod("db-0", "a")}, makeVolume("a", ours))...)
			w.config.Mode = managerv1alpha1.DryRun
			w.restart()
			w.fence("a")
			wantReasons(t, w.advance("db-0"), "db-0: WouldMove")
			w.wantLog()
		})
	}
}

func TestBudgetIsKept(t *testing.T) {
	w := newWorld(t, join(makeNode(true), []client.Object{makePod("db-0", "a"), makePod("db-1", "b"), makePod("db-2", "c")},
		makeVolume("a", ours), makeVolume("b", ours), makeVolume("c", ours))...)
	w.config.PodsPerMinute = 2
	w.restart()
	wantReasons(t, w.advance("db-0", "db-1", "db-2"), "db-0: Evicted", "db-1: Evicted", "db-2: Throttled")
	w.clock.Step(time.Minute)
	wantReasons(t, w.advance("db-0", "db-1", "db-2"), "db-0: NeedsProof", "db-1: NeedsProof", "db-2: Evicted")
}

// TestBudgetIsNotSpentOnWhatStays has more pods that a PodDisruptionBudget keeps than may be moved in a minute.
func TestBudgetIsNotSpentOnWhatStays(t *testing.T) {
	w := newWorld(t, join(makeNode(true), []client.Object{makePod("db-0", "a"), makePod("db-1", "b")}, makeVolume("a", ours), makeVolume("b", ours))...)
	w.config.PodsPerMinute = 1
	w.restart()
	w.forbids = budgetError()
	wantReasons(t, w.advance("db-0"), "db-0: DisruptionBudget")
	w.forbids = nil
	wantReasons(t, w.advance("db-0", "db-1"), "db-0: DisruptionBudget", "db-1: Evicted")
}

// TestDeadlineOfAnEarlierFailure has a PodDisruptionBudget in the way of one failure, and of another hours later.
func TestDeadlineOfAnEarlierFailure(t *testing.T) {
	w := newWorld(t, join(makeNode(true), []client.Object{makePod("db-0", "a")}, makeVolume("a", ours))...)
	w.config.PDBPolicy = managerv1alpha1.DeleteAfterDeadline
	w.restart()
	w.forbids = budgetError()
	w.advance("db-0")
	w.mover.Calm(verdict.Key{Provisioner: ours, Node: sick})
	w.clock.Step(6 * time.Hour)
	wantReasons(t, w.advance("db-0"), "db-0: DisruptionBudget")
	w.wantLog("evict db-0 grace 30", "evict db-0 grace 30")
}

// TestDeadlineBesideAnotherDriver has another driver on the node, which is well and is looked at again and again: the deadline
// of the one that failed runs on.
func TestDeadlineBesideAnotherDriver(t *testing.T) {
	w := newWorld(t, join(makeNode(true), []client.Object{makePod("db-0", "a")}, makeVolume("a", ours))...)
	w.config.PDBPolicy = managerv1alpha1.DeleteAfterDeadline
	w.restart()
	w.forbids = budgetError()
	w.advance("db-0")
	w.mover.Calm(verdict.Key{Provisioner: theirs, Node: sick})
	w.mover.Calm(verdict.Key{Provisioner: ours, Node: "node-2"})
	w.clock.Step(5 * time.Minute)
	wantReasons(t, w.advance("db-0"), "db-0: Evicted")
	w.wantLog("evict db-0 grace 30", "evict db-0 grace 30", "delete db-0 grace 30")
}

// TestFinalizers has a pod of a Job, which its controller lets go once it has failed.
func TestFinalizers(t *testing.T) {
	w := newWorld(t, join(makeNode(false), []client.Object{makePod("job-0", "a")}, makeVolume("a", ours))...)
	w.finalizers = true
	w.fence("a")
	wantReasons(t, w.advance("job-0"), "job-0: Removed")
	want := []string{"taint node-1", "delete job-0 grace 0"}
	w.wantLog(want...)
	wantReasons(t, w.advance("job-0"), "job-0: Removed")
	wantReasons(t, w.advance("job-0"))
	w.wantLog(want...)
	pod := makePod("job-0")
	if err := w.raw.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
		t.Fatal(err)
	}
	if pod.Status.Phase != corev1.PodFailed || pod.Status.Conditions[0].Type != corev1.DisruptionTarget {
		t.Errorf("status %+v, want Failed by a disruption", pod.Status)
	}
}
