// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package newclaims

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

// abroad is a world whose restore is in the namespace test, and may read prod's snapshot.
func abroad(t *testing.T, change func(*snapshotv1alpha1.SnapshotRestore), more ...client.Object) *world {
	t.Helper()
	w := begin(t, func(object *snapshotv1alpha1.SnapshotRestore) {
		object.Namespace, object.Spec.Source.Namespace = "test", "prod"
		if change != nil {
			change(object)
		}
	}, more...)
	w.allow("test")
	return w
}

// allow says which namespaces may restore prod's snapshot.
func (w *world) allow(namespaces ...string) {
	w.t.Helper()
	app := &snapshotv1alpha1.ApplicationSnapshot{}
	w.must(w.raw.Get(w.t.Context(), types.NamespacedName{Namespace: "prod", Name: "db"}, app))
	app.Spec.AllowedNamespaces = namespaces
	w.must(w.raw.Update(w.t.Context(), app))
}

// wantSource fails unless prod's snapshots are as they were, and so is what the storage system has of them.
func (w *world) wantSource() {
	w.t.Helper()
	if len(w.lost) > 0 {
		w.t.Errorf("the storage system lost %v; writes %q", w.lost, w.log)
	}
	for _, claim := range []string{"data", "log"} {
		key := types.NamespacedName{Namespace: "prod", Name: "db-" + claim}
		source := restore.Source{Client: w.raw}
		if _, _, err := source.Bound(w.t.Context(), key, types.UID("csi-"+claim), ours); err != nil {
			w.t.Error(err)
		}
	}
}

// copyOf is the content of a member's copy, as it is in the API.
func (w *world) copyOf(claim string) *snapshotv1.VolumeSnapshotContent {
	w.t.Helper()
	content := &snapshotv1.VolumeSnapshotContent{}
	w.must(w.raw.Get(w.t.Context(), client.ObjectKey{Name: copyName("restore-uid", claim)}, content))
	return content
}

func TestAnotherNamespacesSnapshot(t *testing.T) {
	w := abroad(t, nil)
	w.play()
	object := w.wantPhase(snapshotv1alpha1.RestoreCompleted, ReasonRestored)
	w.wantClaims("data-copy", "log-copy")
	if diff := cmp.Diff(map[string]string{"data-copy": "handle-data", "log-copy": "handle-log"}, w.filled); diff != "" {
		t.Errorf("claims are filled from (-want +got):\n%s", diff)
	}
	if copies := w.copies(); len(copies) > 0 || len(object.Finalizers) > 0 {
		t.Errorf("copies %v, finalizers %v, want none when all is filled", copies, object.Finalizers)
	}
	w.wantSource()
	w.wantEvent(EventCopyRemoved)
}

func TestTheCopyOfASnapshot(t *testing.T) {
	w := abroad(t, nil, &snapshotv1.VolumeSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: "class"}})
	for claim, class := range map[string]string{"data": "class", "log": "gone"} {
		content := &snapshotv1.VolumeSnapshotContent{}
		w.must(w.raw.Get(t.Context(), client.ObjectKey{Name: "content-" + claim}, content))
		content.Labels = map[string]string{managedBy: "node-1", "theirs": "x"}
		content.Spec.VolumeSnapshotClassName = &class
		w.must(w.raw.Update(t.Context(), content))
	}
	w.idle = true
	w.play()
	name := copyName("restore-uid", "data")
	want := snapshotv1.VolumeSnapshotContentSpec{
		VolumeSnapshotRef: corev1.ObjectReference{APIVersion: "snapshot.storage.k8s.io/v1", Kind: "VolumeSnapshot", Namespace: "test", Name: name},
		DeletionPolicy:    snapshotv1.VolumeSnapshotContentRetain, Driver: ours, VolumeSnapshotClassName: ptr.To("class"),
		Source: snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: ptr.To("handle-data")},
	}
	got := w.copyOf("data")
	got.Spec.VolumeSnapshotRef.UID = ""
	if diff := cmp.Diff(want, got.Spec); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{managedBy: "node-1", snapshotv1alpha1.LabelRestore: "restore-uid"}, got.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if class := w.copyOf("log").Spec.VolumeSnapshotClassName; class != nil {
		t.Errorf("class is %s, which is gone: the sidecar would look for it", *class)
	}
	if got := RestoreOfContent(got); !slices.Equal(got, []types.NamespacedName{w.key}) {
		t.Errorf("a change of it wakes %v, want %v", got, w.key)
	}
}

func TestWithoutConsentNothingIsMade(t *testing.T) {
	w := abroad(t, nil)
	w.allow("others")
	w.play()
	w.wantPhase(snapshotv1alpha1.RestorePending, restore.ReasonSourceNotAllowed)
	w.wantClaims()
	if copies := w.copies(); len(copies) > 0 {
		t.Errorf("copies %v without consent", copies)
	}
	w.allow("*")
	w.play()
	w.wantPhase(snapshotv1alpha1.RestoreCompleted, ReasonRestored)
}

func TestConsentThatIsTakenBackMidway(t *testing.T) {
	for name, tc := range map[string]struct {
		quota int
		phase snapshotv1alpha1.RestorePhase
		want  string
	}{
		"keeps what is missing from being made": {quota: 1, phase: snapshotv1alpha1.RestorePopulating, want: restore.ReasonSourceNotAllowed},
		"is too late for what is made":          {phase: snapshotv1alpha1.RestorePopulating, want: ReasonPopulating},
	} {
		t.Run(name, func(t *testing.T) {
			w := abroad(t, nil)
			w.idle, w.quota = true, tc.quota
			w.play()
			w.allow("others")
			w.quota = 0
			w.play()
			w.wantPhase(tc.phase, tc.want)
		})
	}
}

func TestTheCopyStaysWhileAClaimWaitsForItsPod(t *testing.T) {
	for name, deleted := range map[string]bool{"and the restore stays": false, "and the restore is deleted": true} {
		t.Run(name, func(t *testing.T) {
			w := abroad(t, lazily)
			w.play()
			if deleted {
				w.must(w.raw.Delete(t.Context(), w.restore()))
			}
			w.consumers["data-copy"] = true
			w.clock.Step(1000 * time.Hour)
			w.play()
			w.wantClaims("data-copy", "log-copy")
			log := copyName("restore-uid", "log")
			if diff := cmp.Diff([]string{"content " + log, "snapshot " + log}, w.copies()); diff != "" {
				t.Errorf("copies (-want +got):\n%s", diff)
			}
			if got := w.restore().Status.Message; strings.HasPrefix(got, "is deleted as soon as") != deleted {
				t.Errorf("message is %q", got)
			}
			w.consumers["log-copy"] = true
			w.play()
			if got := w.filled["log-copy"]; got != "handle-log" {
				t.Errorf("log-copy is filled from %q", got)
			}
			if object := w.restore(); len(w.copies()) > 0 || (object == nil) != deleted {
				t.Errorf("copies %v, restore %v", w.copies(), object)
			}
			w.wantClaims("data-copy", "log-copy")
			w.wantSource()
		})
	}
}

func TestTheCopyStaysUntilAFailedRestoresClaimIsGone(t *testing.T) {
	w := abroad(t, nil)
	w.idle = true
	w.play()
	claim := w.claims()["data-copy"]
	claim.Finalizers = []string{"kubernetes.io/pvc-protection"}
	w.must(w.raw.Update(t.Context(), claim))
	w.clock.Step(time.Hour)
	w.play()
	w.wantPhase(snapshotv1alpha1.RestoreFailed, ReasonDeadlineExceeded)
	name := copyName("restore-uid", "data")
	if diff := cmp.Diff([]string{"content " + name, "snapshot " + name}, w.copies()); diff != "" {
		t.Errorf("copies while the claim is being deleted (-want +got):\n%s", diff)
	}
	claim = w.claims()["data-copy"]
	claim.Finalizers = nil
	w.must(w.raw.Update(t.Context(), claim))
	w.play()
	if object := w.restore(); len(w.copies()) > 0 || len(object.Finalizers) > 0 {
		t.Errorf("copies %v, finalizers %v, want none", w.copies(), object.Finalizers)
	}
	w.wantSource()
}

func TestTheCopyGoesWithAClaimThatIsDeletedUnfilled(t *testing.T) {
	w := abroad(t, lazily)
	w.play()
	for _, claim := range w.claims() {
		w.must(w.raw.Delete(t.Context(), claim))
	}
	w.play()
	if copies := w.copies(); len(copies) > 0 {
		t.Errorf("copies %v", copies)
	}
	w.wantPhase(snapshotv1alpha1.RestoreCompleted, ReasonRestored)
	w.wantSource()
}

func TestAPolicyThatIsChangedDestroysNothing(t *testing.T) {
	w := abroad(t, lazily)
	w.play()
	for _, claim := range []string{"data", "log"} {
		content := w.copyOf(claim)
		content.Spec.DeletionPolicy = snapshotv1.VolumeSnapshotContentDelete
		w.must(w.raw.Update(t.Context(), content))
		w.consumers[claim+"-copy"] = true
	}
	w.controllers()
	writes := len(w.log)
	_, err := w.reconcile()
	w.must(err)
	if slices.ContainsFunc(w.log[writes:], func(what string) bool { return strings.HasPrefix(what, "delete") }) {
		t.Errorf("%q in the round that set the policy back", w.log[writes:])
	}
	w.wantEvent(EventPolicyChanged)
	w.play()
	if copies := w.copies(); len(copies) > 0 {
		t.Errorf("copies %v", copies)
	}
	w.wantSource()
}

func TestACopyOfSomethingElse(t *testing.T) {
	name := copyName("restore-uid", "log")
	content := func(change func(*snapshotv1.VolumeSnapshotContent)) *snapshotv1.VolumeSnapshotContent {
		made := &snapshotv1.VolumeSnapshotContent{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{snapshotv1alpha1.LabelRestore: "restore-uid"}},
			Spec: snapshotv1.VolumeSnapshotContentSpec{
				Driver: ours, DeletionPolicy: snapshotv1.VolumeSnapshotContentRetain,
				VolumeSnapshotRef: corev1.ObjectReference{Namespace: "test", Name: name},
				Source:            snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: ptr.To("handle-log")},
			},
		}
		change(made)
		return made
	}
	for what, object := range map[string]client.Object{
		"content of another handle": content(func(c *snapshotv1.VolumeSnapshotContent) { c.Spec.Source.SnapshotHandle = ptr.To("stolen") }),
		"content of another driver": content(func(c *snapshotv1.VolumeSnapshotContent) { c.Spec.Driver = "other" }),
		"content for another place": content(func(c *snapshotv1.VolumeSnapshotContent) { c.Spec.VolumeSnapshotRef.Namespace = "elsewhere" }),
		"content without our label": content(func(c *snapshotv1.VolumeSnapshotContent) { c.Labels = nil }),
		"a VolumeSnapshot without our label": &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "test", Name: name},
			Spec: snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{VolumeSnapshotContentName: &name}}},
	} {
		t.Run(what, func(t *testing.T) {
			w := abroad(t, nil, object)
			w.play()
			w.wantPhase(snapshotv1alpha1.RestoreFailed, ReasonCopyTaken)
			w.wantClaims()
			w.wantSource()
			ours := object.GetLabels() != nil
			if err := w.raw.Get(t.Context(), client.ObjectKeyFromObject(object), object); !ours && err != nil {
				t.Errorf("what is not ours was touched: %v", err)
			}
		})
	}
}

func TestACopyThatIsBoundToAnotherIsNotRestoredFrom(t *testing.T) {
	w := abroad(t, nil)
	// Somebody replaces the VolumeSnapshot of the copy after it was bound.
	w.before = func(what string) {
		if what == "create v1.PersistentVolumeClaim data-copy" {
			w.before = nil
			content := w.copyOf("log")
			content.Spec.VolumeSnapshotRef.UID = "former"
			w.must(w.raw.Update(t.Context(), content))
		}
	}
	w.play()
	w.wantPhase(snapshotv1alpha1.RestoreFailed, restore.ReasonSnapshotMisbound)
	w.wantClaims()
	if _, filled := w.filled["log-copy"]; filled || len(w.copies()) > 0 {
		t.Errorf("filled %v, copies %v", w.filled, w.copies())
	}
	w.wantSource()
}

func TestWhatWakesARestore(t *testing.T) {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
		Namespace: "test", Labels: map[string]string{snapshotv1alpha1.LabelRestore: "uid"}, Annotations: map[string]string{snapshotv1alpha1.AnnotationRestoredBy: "back"},
	}}
	if got, want := RestoreOf(claim), (types.NamespacedName{Namespace: "test", Name: "back"}); !slices.Equal(got, []types.NamespacedName{want}) {
		t.Errorf("a claim wakes %v, want %v", got, want)
	}
	if got := RestoreOf(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "test"}}); len(got) > 0 {
		t.Errorf("another claim wakes %v", got)
	}
}
