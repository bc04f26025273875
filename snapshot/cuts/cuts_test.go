// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cuts

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/snapshot/groupapi"
	"roost.dev/roost/snapshot/snapshottest"
)

const driver = "csi.example.com"

var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// world has claims a, b and c, and an ApplicationSnapshot of a and b.
type world struct {
	*Cutter
	t          *testing.T
	clock      *snapshottest.Clock
	process    *snapshottest.Process
	controller *snapshottest.Controller
	snapshot   *snapshotv1alpha1.ApplicationSnapshot
}

func newWorld(t *testing.T, mode snapshotv1alpha1.Mode, groupVersion string) *world {
	t.Helper()
	w := &world{t: t, clock: snapshottest.NewClock(start)}
	var objects []client.Object
	w.snapshot = &snapshotv1alpha1.ApplicationSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: builders.Namespace, Name: "nightly", UID: "snapshot"},
		Spec:       snapshotv1alpha1.ApplicationSnapshotSpec{Mode: mode},
	}
	for _, name := range []string{"a", "b", "c"} {
		objects = append(objects, builders.MakeClaim(name).BoundTo("pv-"+name).Obj(), builders.MakePV("pv-"+name).CSI(driver, "handle-"+name).ClaimedBy(name).Obj())
		if name == "c" {
			continue
		}
		w.snapshot.Status.Members = append(w.snapshot.Status.Members, snapshotv1alpha1.SnapshotMember{
			ClaimName: name, ClaimUID: types.UID(name), Driver: driver, VolumeSnapshotClassName: "gold", State: snapshotv1alpha1.MemberCutting,
		})
	}
	if mode == snapshotv1alpha1.ModeGroup {
		w.snapshot.Status.GroupSnapshotName, w.snapshot.Status.VolumeGroupSnapshotClassName = GroupName(w.snapshot), "group-gold"
	} else {
		for i := range w.snapshot.Status.Members {
			w.snapshot.Status.Members[i].VolumeSnapshotName = Name(w.snapshot, w.snapshot.Status.Members[i].ClaimName)
		}
	}
	api := snapshottest.NewAPI(w.clock, groupVersion, objects...)
	w.process = snapshottest.NewProcess(api)
	w.controller = &snapshottest.Controller{API: api, Clock: w.clock, Driver: driver, Scripts: map[string]snapshottest.Script{}}
	w.clock.Play = func() {
		if err := w.controller.Play(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if w.Cutter, err = New(Options{Client: w.process, Memory: api, Clock: w.clock}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) must(what string, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// make makes everything, and lets some time pass.
func (w *world) make(d time.Duration) {
	w.t.Helper()
	if isGroup(w.snapshot) {
		w.must("marking", w.Mark(w.t.Context(), w.snapshot))
	}
	w.must("making", w.Make(w.t.Context(), w.snapshot))
	for range int(d / time.Second) {
		w.clock.Pass(time.Second)
	}
	w.must("observing", w.Observe(w.t.Context(), w.snapshot))
}

func (w *world) states() []string {
	var states []string
	for i := range w.snapshot.Status.Members {
		member := &w.snapshot.Status.Members[i]
		states = append(states, strings.TrimSpace(member.ClaimName+" "+string(member.State)+" "+member.Message))
	}
	return states
}

func (w *world) want(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.states()); diff != "" {
		w.t.Errorf("members (-want +got):\n%s", diff)
	}
}

func (w *world) labelsOf(claim string) map[string]string {
	w.t.Helper()
	var found corev1.PersistentVolumeClaim
	w.must("reading a claim", w.process.Get(w.t.Context(), claimKey(w.snapshot, claim), &found))
	return found.Labels
}

func (w *world) read(name string) *snapshotv1.VolumeSnapshot {
	w.t.Helper()
	found := &snapshotv1.VolumeSnapshot{}
	w.must("reading a VolumeSnapshot", w.process.Get(w.t.Context(), claimKey(w.snapshot, name), found))
	return found
}

func TestNamesAreValidAndApart(t *testing.T) {
	long := strings.Repeat("x", 240)
	taken := map[string]string{}
	for _, name := range []string{"a", "a-b", "a.b", long, long + "-1", strings.Repeat("y", 243) + ".z"} {
		for _, uid := range []types.UID{"1", "2"} {
			for _, claim := range []string{"c", "b-c", long, long + "1"} {
				snapshot := &snapshotv1alpha1.ApplicationSnapshot{ObjectMeta: metav1.ObjectMeta{Name: name, UID: uid}}
				for _, got := range []string{Name(snapshot, claim), GroupName(snapshot)} {
					who := fmt.Sprint(name, uid, claim)
					if got == GroupName(snapshot) {
						who = fmt.Sprint(name, uid)
					}
					if problems := validation.IsDNS1123Subdomain(got); len(problems) > 0 {
						t.Errorf("%q: %v", got, problems)
					}
					if other, ok := taken[got]; ok && other != who {
						t.Errorf("%q is of %s and of %s", got, other, who)
					}
					taken[got] = who
				}
				if problems := validation.IsQualifiedName(RunLabel(snapshot)); len(problems) > 0 {
					t.Errorf("%q: %v", RunLabel(snapshot), problems)
				}
			}
		}
	}
}

func TestWhatIsMade(t *testing.T) {
	w := newWorld(t, snapshotv1alpha1.ModeSequential, "")
	w.make(0)
	made := w.read(w.snapshot.Status.Members[0].VolumeSnapshotName)
	owner := metav1.GetControllerOf(made)
	if owner == nil || owner.UID != "snapshot" || *owner.BlockOwnerDeletion || made.Labels[snapshotv1alpha1.LabelSnapshot] != "snapshot" ||
		*made.Spec.VolumeSnapshotClassName != "gold" || *made.Spec.Source.PersistentVolumeClaimName != "a" {
		t.Errorf("made is %+v", made)
	}
	// Somebody who does not know that they are made finds them.
	for i := range w.snapshot.Status.Members {
		w.snapshot.Status.Members[i].VolumeSnapshotUID = ""
	}
	w.must("making again", w.Make(t.Context(), w.snapshot))
	if w.snapshot.Status.Members[0].VolumeSnapshotUID != made.UID {
		t.Errorf("UID is %s, want that of the first, %s", w.snapshot.Status.Members[0].VolumeSnapshotUID, made.UID)
	}
}

// TestReadyToUseThatIsUnknown is not ready, though it is bound: nil is not true.
func TestReadyToUseThatIsUnknown(t *testing.T) {
	w := newWorld(t, snapshotv1alpha1.ModeSequential, "")
	w.make(2 * time.Second)
	w.want("a Ready", "b Ready")
	found := w.read(w.snapshot.Status.Members[0].VolumeSnapshotName)
	found.Status.ReadyToUse = nil
	w.must("writing", w.controller.API.Status().Update(t.Context(), found))
	w.must("observing", w.Observe(t.Context(), w.snapshot))
	w.want("a Cut", "b Ready")
}

func TestCutTimeIsExactAndEnteredOnce(t *testing.T) {
	w := newWorld(t, snapshotv1alpha1.ModeSequential, "")
	w.controller.Default.Cut = 1500 * time.Millisecond
	w.controller.Scripts["b"] = snapshottest.Script{ClockAhead: time.Hour}
	w.make(4 * time.Second)
	a, b := w.snapshot.Status.Members[0].CutTime, w.snapshot.Status.Members[1].CutTime
	if want := start.Add(2500 * time.Millisecond); !a.Time.Equal(want) {
		t.Errorf("cut at %s, want %s of the content, and not whole seconds", a, want)
	}
	if want := w.clock.Now(); !b.Time.Equal(want) {
		t.Errorf("cut at %s by a clock that is ahead, want when it was seen, %s", b, want)
	}
	w.clock.Pass(time.Minute)
	w.must("observing", w.Observe(t.Context(), w.snapshot))
	if !b.Equal(w.snapshot.Status.Members[1].CutTime) {
		t.Errorf("the cut moved from %s to %s", b, w.snapshot.Status.Members[1].CutTime)
	}
}

func TestSnapshotOfAnotherUIDIsNobodys(t *testing.T) {
	w := newWorld(t, snapshotv1alpha1.ModeSequential, "")
	w.make(2 * time.Second)
	name := w.snapshot.Status.Members[0].VolumeSnapshotName
	w.must("dropping", w.controller.API.Delete(t.Context(), w.read(name)))
	w.clock.Pass(time.Second)
	foreign := &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: builders.Namespace, Name: name}}
	foreign.Spec.Source.PersistentVolumeClaimName = ptr.To("a")
	w.must("creating", w.controller.API.Create(t.Context(), foreign))
	w.clock.Pass(2 * time.Second)
	w.must("observing", w.Observe(t.Context(), w.snapshot))
	w.want("a Failed VolumeSnapshot "+name+" was deleted", "b Ready")
	w.must("removing the failed", w.RemoveFailed(t.Context(), w.snapshot))
	if _, err := w.Remove(t.Context(), w.snapshot); err != nil {
		t.Fatal(err)
	}
	if w.read(name).DeletionTimestamp != nil {
		t.Error("the foreign one is deleted, want only b")
	}
	if found := w.read(w.snapshot.Status.Members[1].VolumeSnapshotName); found.DeletionTimestamp == nil {
		t.Error("b is not deleted")
	}
}

// TestClaimThatIsNotTheOneThatWasSettled has the claim made anew after it was settled: its volume is another.
func TestClaimThatIsNotTheOneThatWasSettled(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*corev1.PersistentVolumeClaim)
		ours   bool
		want   string
	}{
		"made anew":      {change: func(claim *corev1.PersistentVolumeClaim) { claim.UID = "another" }, want: "a Failed claim a was deleted after the snapshot began"},
		"being restored": {change: restored, want: "a Failed claim a is being restored in place by SnapshotRestore back since the snapshot began"},
		"being restored, by whom the snapshot is": {change: restored, ours: true, want: "a Cutting"},
	} {
		for _, mode := range []snapshotv1alpha1.Mode{snapshotv1alpha1.ModeSequential, snapshotv1alpha1.ModeGroup} {
			t.Run(name+" in mode "+string(mode), func(t *testing.T) {
				w := newWorld(t, mode, "v1")
				if tc.ours {
					w.snapshot.Labels = map[string]string{snapshotv1alpha1.LabelRestore: "uid-back"}
					w.snapshot.Annotations = map[string]string{snapshotv1alpha1.AnnotationRestoredBy: "back"}
				}
				claim := builders.MakeClaim("a").BoundTo("pv-a").Obj()
				w.must("deleting", w.controller.API.Delete(t.Context(), claim))
				tc.change(claim)
				w.must("creating", w.controller.API.Create(t.Context(), claim))
				w.make(0)
				w.want(tc.want, "b Cutting")
			})
		}
	}
}

func restored(claim *corev1.PersistentVolumeClaim) {
	claim.Annotations = map[string]string{snapshotv1alpha1.AnnotationRestoring: "back"}
}

// TestRemoveHeedsTheUID has another one of the name come between the read and the deletion.
func TestRemoveHeedsTheUID(t *testing.T) {
	w := newWorld(t, snapshotv1alpha1.ModeSequential, "")
	w.make(0)
	name := w.snapshot.Status.Members[0].VolumeSnapshotName
	w.process.Fail = func(write string) error {
		if write == "delete VolumeSnapshot "+name {
			old := w.read(name)
			w.must("dropping", w.controller.API.Delete(t.Context(), old))
			old.UID, old.ResourceVersion = "", ""
			w.must("creating", w.controller.API.Create(t.Context(), old))
		}
		return nil
	}
	if _, err := w.Remove(t.Context(), w.snapshot); err != nil {
		t.Fatal(err)
	}
	if w.read(name).DeletionTimestamp != nil {
		t.Error("one of another UID is deleted")
	}
}

func TestRemoveFindsWhatTheStatusDoesNotKnow(t *testing.T) {
	w := newWorld(t, snapshotv1alpha1.ModeSequential, "")
	w.make(time.Second)
	for i := range w.snapshot.Status.Members {
		w.snapshot.Status.Members[i].VolumeSnapshotUID = ""
	}
	for _, want := range []bool{false, true} {
		done, err := w.Remove(t.Context(), w.snapshot)
		if err != nil || done != want {
			t.Fatalf("done is %t (%v), want %t", done, err, want)
		}
		w.clock.Pass(time.Second)
	}
}

// TestGroupTakesItsMembersAndNoOthers in both versions of the API.
func TestGroupTakesItsMembersAndNoOthers(t *testing.T) {
	for _, version := range []string{"v1", "v1beta2"} {
		for _, nameless := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, parts without names: %t", version, nameless), func(t *testing.T) {
				w := newWorld(t, snapshotv1alpha1.ModeGroup, version)
				w.controller.Scripts[""] = snapshottest.Script{Cut: time.Second, Ready: 3 * time.Second, Nameless: nameless}
				w.make(2 * time.Second)
				w.want("a Cut", "b Cut")
				for range 3 {
					w.clock.Pass(time.Second)
					w.must("observing", w.Observe(t.Context(), w.snapshot))
				}
				w.want("a Ready", "b Ready")
				if parts := len(w.controller.Cuts); parts != 2 {
					t.Errorf("the group has %d parts, want those of a and b", parts)
				}
				w.must("unmarking", w.Unmark(t.Context(), w.snapshot))
				for _, claim := range []string{"a", "b", "c"} {
					if labels := w.labelsOf(claim); len(labels) > 0 {
						t.Errorf("claim %s has labels %v, want none", claim, labels)
					}
				}
			})
		}
	}
}

func TestGroupThatIsIncomplete(t *testing.T) {
	w := newWorld(t, snapshotv1alpha1.ModeGroup, "v1")
	w.controller.Scripts[""] = snapshottest.Script{Omit: []string{"b"}}
	w.make(3 * time.Second)
	w.want("a Ready", "b Failed VolumeGroupSnapshot "+GroupName(w.snapshot)+" is ready and has no VolumeSnapshot of this claim")
}

func TestGroupThatIsDeleted(t *testing.T) {
	w := newWorld(t, snapshotv1alpha1.ModeGroup, "v1")
	w.controller.Scripts[""] = snapshottest.Script{Cut: snapshottest.Never, Error: "pool is full", Vanish: 5 * time.Second}
	w.make(2 * time.Second)
	w.want("a Cutting pool is full", "b Cutting")
	for range 5 {
		w.clock.Pass(time.Second)
	}
	w.must("observing", w.Observe(t.Context(), w.snapshot))
	gone := " Failed VolumeGroupSnapshot " + GroupName(w.snapshot) + " was deleted"
	w.want("a"+gone, "b"+gone)
	if err := w.Make(t.Context(), w.snapshot); err != nil || len(w.controller.Cuts) > 0 {
		t.Errorf("error %v", err)
	}
	for _, write := range w.process.Writes[3:] {
		t.Errorf("written after the group was made: %q", write)
	}
}

// TestGroupIsRemovedAsAWhole because its parts cannot go alone, and is not done before they are gone.
func TestGroupIsRemovedAsAWhole(t *testing.T) {
	w := newWorld(t, snapshotv1alpha1.ModeGroup, "v1")
	w.make(3 * time.Second)
	w.want("a Ready", "b Ready")
	if done, err := w.Remove(t.Context(), w.snapshot); err != nil || done {
		t.Fatalf("done is %t (%v), want not while it is there", done, err)
	}
	for _, write := range w.process.Writes {
		if strings.HasPrefix(write, "delete VolumeSnapshot ") {
			t.Errorf("%q: a part cannot be deleted alone", write)
		}
	}
	w.clock.Pass(time.Second)
	if done, err := w.Remove(t.Context(), w.snapshot); err != nil || !done {
		t.Errorf("done is %t (%v), want true", done, err)
	}
}

func TestForeignGroupOfTheSameName(t *testing.T) {
	w := newWorld(t, snapshotv1alpha1.ModeGroup, "v1")
	foreign := snapshottest.GroupObject("v1", "VolumeGroupSnapshot", GroupName(w.snapshot))
	foreign.SetNamespace(builders.Namespace)
	w.must("creating", w.controller.API.Create(t.Context(), foreign))
	w.make(0)
	if got := w.states()[0]; !strings.Contains(got, "Failed") || !strings.Contains(got, "was not made for this snapshot") {
		t.Errorf("member is %q, want it failed", got)
	}
	if _, err := w.Remove(t.Context(), w.snapshot); err != nil {
		t.Fatal(err)
	}
	if _, err := groupapi.New(w.process).Get(t.Context(), client.ObjectKeyFromObject(foreign)); err != nil {
		t.Errorf("the foreign group is gone: %v", err)
	}
}

// behind is a memory in which a claim is as it was.
type behind struct {
	client.Reader
	claim *corev1.PersistentVolumeClaim
}

func (b behind) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if into, ok := object.(*corev1.PersistentVolumeClaim); ok && key.Name == b.claim.Name {
		b.claim.DeepCopyInto(into)
		return nil
	}
	return b.Reader.Get(ctx, key, object, options...)
}

// contentless is a memory that has no VolumeSnapshotContents yet.
type contentless struct{ client.Reader }

func (c contentless) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if _, ok := object.(*snapshotv1.VolumeSnapshotContent); ok {
		return apierrors.NewNotFound(corev1.Resource("volumesnapshotcontents"), key.Name)
	}
	return c.Reader.Get(ctx, key, object, options...)
}

// TestContentThatMemoryDoesNotHaveYet is read: no event of the VolumeSnapshot comes any more once it is ready.
func TestContentThatMemoryDoesNotHaveYet(t *testing.T) {
	w := newWorld(t, snapshotv1alpha1.ModeSequential, "")
	w.Memory = contentless{w.Memory}
	w.make(2 * time.Second)
	w.want("a Ready", "b Ready")
}

func TestContentThatIsNotBoundBack(t *testing.T) {
	for name, tc := range map[string]struct {
		script snapshottest.Script
		change func(*snapshotv1alpha1.SnapshotMember)
		says   string
	}{
		"to another VolumeSnapshot": {script: snapshottest.Script{ForeignContent: true}, says: "bound to another VolumeSnapshot"},
		"by another driver":         {change: func(member *snapshotv1alpha1.SnapshotMember) { member.Driver = "other.example.com" }, says: "is of CSI driver"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, snapshotv1alpha1.ModeSequential, "")
			w.controller.Scripts["a"] = tc.script
			if tc.change != nil {
				tc.change(&w.snapshot.Status.Members[0])
			}
			w.make(3 * time.Second)
			member := w.snapshot.Status.Members[0]
			if member.State != snapshotv1alpha1.MemberCutting || !strings.Contains(member.Message, tc.says) {
				t.Errorf("member is %s, %q; want it not believed, because it %q", member.State, member.Message, tc.says)
			}
		})
	}
}

func TestMark(t *testing.T) {
	change := func(w *world, claim string, change func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
		found := &corev1.PersistentVolumeClaim{}
		w.must("reading", w.controller.API.Get(t.Context(), claimKey(w.snapshot, claim), found))
		before := found.DeepCopy()
		change(found)
		w.must("writing", w.controller.API.Update(t.Context(), found))
		return before
	}
	t.Run("a claim that changed since it was read", func(t *testing.T) {
		w := newWorld(t, snapshotv1alpha1.ModeGroup, "v1")
		before := change(w, "a", func(claim *corev1.PersistentVolumeClaim) { claim.Labels = map[string]string{"new": "label"} })
		w.Memory = behind{w.Memory, before}
		w.must("marking", w.Mark(t.Context(), w.snapshot))
		if labels := w.labelsOf("a"); labels["new"] != "label" || len(labels) != 2 {
			t.Errorf("labels are %v, want the new one and ours", labels)
		}
	})
	t.Run("a claim that was replaced by one of its name", func(t *testing.T) {
		w := newWorld(t, snapshotv1alpha1.ModeGroup, "v1")
		w.snapshot.Status.Members[0].ClaimUID = "former"
		w.must("marking", w.Mark(t.Context(), w.snapshot))
		w.want("a Failed claim a was deleted after the snapshot began", "b Cutting")
		if labels := w.labelsOf("a"); len(labels) > 0 {
			t.Errorf("labels are %v, want none", labels)
		}
	})
	t.Run("a claim that has the label and is no member", func(t *testing.T) {
		w := newWorld(t, snapshotv1alpha1.ModeGroup, "v1")
		change(w, "c", func(claim *corev1.PersistentVolumeClaim) {
			claim.Labels = map[string]string{RunLabel(w.snapshot): "copied"}
		})
		if err := w.Mark(t.Context(), w.snapshot); err == nil || !strings.Contains(err.Error(), "claim c") {
			t.Errorf("error is %v, want one about claim c, which the group would take along", err)
		}
	})
	t.Run("a second time", func(t *testing.T) {
		w := newWorld(t, snapshotv1alpha1.ModeGroup, "v1")
		w.must("marking", w.Mark(t.Context(), w.snapshot))
		before := len(w.process.Writes)
		w.must("marking again", w.Mark(t.Context(), w.snapshot))
		if len(w.process.Writes) > before {
			t.Errorf("written again: %q", w.process.Writes[before:])
		}
	})
}
