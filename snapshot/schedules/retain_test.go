// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/retention"
)

const (
	oldest = "2026-04-30T21:00:00Z"
	middle = "2026-04-30T22:00:00Z"
	newest = "2026-04-30T23:00:00Z"
)

// keepOne keeps the newest ready snapshot.
func keepOne(s *snapshotv1alpha1.SnapshotSchedule) {
	s.Spec.Retention = snapshotv1alpha1.Retention{Last: 1, MinReady: 1}
}

func pinned(s *snapshotv1alpha1.ApplicationSnapshot) {
	s.Annotations = map[string]string{snapshotv1alpha1.AnnotationPinned: "true"}
}

func restoreOf(namespace string, change func(*snapshotv1alpha1.SnapshotRestore)) *snapshotv1alpha1.SnapshotRestore {
	restore := &snapshotv1alpha1.SnapshotRestore{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "back"},
		Spec:       snapshotv1alpha1.SnapshotRestoreSpec{Source: snapshotv1alpha1.SnapshotSource{Name: slotName(key.Name, at(oldest)), Namespace: "shop"}},
	}
	change(restore)
	return restore
}

func restoreIn(phase snapshotv1alpha1.RestorePhase) *snapshotv1alpha1.SnapshotRestore {
	return restoreOf("elsewhere", func(r *snapshotv1alpha1.SnapshotRestore) { r.Status.Phase = phase })
}

func claimFrom(namespace string, phase corev1.PersistentVolumeClaimPhase) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "copy"},
		Spec: corev1.PersistentVolumeClaimSpec{DataSource: &corev1.TypedLocalObjectReference{
			APIGroup: ptr.To("snapshot.storage.k8s.io"), Kind: "VolumeSnapshot", Name: "vs-" + slotName(key.Name, at(oldest)),
		}},
		Status: corev1.PersistentVolumeClaimStatus{Phase: phase},
	}
}

// contentOf is the content of the oldest snapshot's member, or one of another name with the same handle.
func contentOf(name, driver, handle string, of types.UID) *snapshotv1.VolumeSnapshotContent {
	return &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			Driver: driver, VolumeSnapshotRef: corev1.ObjectReference{Namespace: namespace, Name: "some", UID: of},
			Source: snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: ptr.To(handle)},
		},
	}
}

// ownContent is what the oldest snapshot's member is bound to.
var ownContent = contentOf("own", "csi.example.com", "h1", types.UID("uid-vs-"+slotName(key.Name, at(oldest))))

// uses are what may use the oldest of two snapshots of which one is kept.
var uses = map[string]struct {
	change  func(*snapshotv1alpha1.ApplicationSnapshot)
	objects []client.Object
	// reason is empty where the snapshot goes, and "-" where it is not spared, because it is none to remove.
	reason string
}{
	"nothing uses it": {},
	"pinned":          {change: pinned, reason: retention.KeptPinned},
	"pinned by another word": {change: func(s *snapshotv1alpha1.ApplicationSnapshot) {
		s.Annotations = map[string]string{snapshotv1alpha1.AnnotationPinned: "no"}
	}},
	"of another schedule":                        {change: func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Labels[snapshotv1alpha1.LabelSchedule] = "other" }, reason: "-"},
	"of a schedule of this name that is gone":    {change: func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Labels = nil }, reason: "-"},
	"a restore of another namespace that is new": {objects: []client.Object{restoreIn("")}, reason: KeptRestoring},
	"a restore that populates":                   {objects: []client.Object{restoreIn(snapshotv1alpha1.RestorePopulating)}, reason: KeptRestoring},
	"a restore that rolls back":                  {objects: []client.Object{restoreIn(snapshotv1alpha1.RestoreRollingBack)}, reason: KeptRestoring},
	"a restore that is completed":                {objects: []client.Object{restoreIn(snapshotv1alpha1.RestoreCompleted)}},
	"a restore that is rolled back":              {objects: []client.Object{restoreIn(snapshotv1alpha1.RestoreRolledBack)}},
	"a restore that failed":                      {objects: []client.Object{restoreIn(snapshotv1alpha1.RestoreFailed)}},
	"a restore of its own namespace":             {objects: []client.Object{restoreOf(namespace, func(r *snapshotv1alpha1.SnapshotRestore) { r.Spec.Source.Namespace = "" })}, reason: KeptRestoring},
	"a restore of one of that name elsewhere":    {objects: []client.Object{restoreOf("elsewhere", func(r *snapshotv1alpha1.SnapshotRestore) { r.Spec.Source.Namespace = "" })}},
	"a restore of a former one of that name":     {objects: []client.Object{restoreOf(namespace, func(r *snapshotv1alpha1.SnapshotRestore) { r.Status.SourceUID = "former" })}},
	"a restore that pinned it":                   {objects: []client.Object{restoreOf(namespace, func(r *snapshotv1alpha1.SnapshotRestore) { r.Status.SourceUID = point(oldest).UID })}, reason: KeptRestoring},
	"the safety snapshot of a restore": {objects: []client.Object{restoreOf(namespace, func(r *snapshotv1alpha1.SnapshotRestore) {
		r.Spec.Source.Name, r.Status.SafetySnapshotName = "x", point(oldest).Name
	})}, reason: KeptRestoring},
	"a claim without a volume":                   {objects: []client.Object{claimFrom(namespace, corev1.ClaimPending)}, reason: KeptClaimPending},
	"a claim that nobody has looked at":          {objects: []client.Object{claimFrom(namespace, "")}, reason: KeptClaimPending},
	"a claim with a volume":                      {objects: []client.Object{claimFrom(namespace, corev1.ClaimBound)}},
	"a claim of another namespace":               {objects: []client.Object{claimFrom("elsewhere", corev1.ClaimPending)}},
	"only its own content":                       {objects: []client.Object{ownContent}},
	"another content with the handle":            {objects: []client.Object{ownContent, contentOf("read", "csi.example.com", "h1", "other")}, reason: KeptHandleShared},
	"another driver's content with that handle":  {objects: []client.Object{ownContent, contentOf("read", "other.example.com", "h1", "other")}},
	"another content of the driver":              {objects: []client.Object{ownContent, contentOf("read", "csi.example.com", "h2", "other")}},
	"it was ready, and is not any more":          {change: notReady, reason: "-"},
	"it is being made":                           {change: func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Status.Phase = snapshotv1alpha1.PhaseUploading }, reason: "-"},
	"it failed, and is one of the few that stay": {change: func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Status.Phase = snapshotv1alpha1.PhaseFailed }, reason: "-"},
}

func TestRetentionSparesWhatIsInUse(t *testing.T) {
	for name, tc := range uses {
		t.Run(name, func(t *testing.T) {
			victim := point(oldest)
			if tc.change != nil {
				tc.change(victim)
			}
			objects := []client.Object{victim, point(newest)}
			for _, object := range tc.objects {
				objects = append(objects, object.DeepCopyObject().(client.Object))
			}
			w := newWorld(t, keepOne, objects...)
			w.reconcile()
			want := []string{"202604302100", "202604302300"}
			if tc.reason == "" {
				want = want[1:]
				wantTold(t, w, EventDeleted)
			} else {
				wantTold(t, w)
			}
			wantNames(t, w, want...)
			var kept []snapshotv1alpha1.KeptSnapshot
			if tc.reason != "" && tc.reason != "-" {
				kept = append(kept, snapshotv1alpha1.KeptSnapshot{Name: victim.Name, UID: victim.UID, Reason: tc.reason})
			}
			if diff := cmp.Diff(kept, w.schedule().Status.Kept); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			w.wantCondition(retained, metav1.ConditionTrue, ReasonRetained)
			before := len(w.writes)
			w.reconcile()
			if again := w.writes[before:]; len(again) > 0 {
				t.Errorf("looked at again, writes %v", again)
			}
		})
	}
}

func notReady(s *snapshotv1alpha1.ApplicationSnapshot) {
	s.Status.Conditions = []metav1.Condition{{Type: snapshotv1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Gone"}}
}

func TestNothingIsDeletedWhileReferencesAreUnknown(t *testing.T) {
	for name, list := range map[string]client.ObjectList{
		"restores": &snapshotv1alpha1.SnapshotRestoreList{}, "claims": &corev1.PersistentVolumeClaimList{}, "contents": &snapshotv1.VolumeSnapshotContentList{},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, keepOne, point(oldest), point(newest))
			w.listing = func(asked client.ObjectList) error {
				if gvk, _ := w.raw.GroupVersionKindFor(asked); gvk.Kind == kindOf(t, w, list) {
					return &meta.NoKindMatchError{GroupKind: gvk.GroupKind()}
				}
				return nil
			}
			if result := w.reconcileAt("2026-05-01T01:00:00Z"); result.RequeueAfter != blockedRetry {
				t.Errorf("looked again after %s", result.RequeueAfter)
			}
			w.reconcile()
			wantNames(t, w, "202604302100", "202604302300", "202605010100") // runs go on
			w.wantCondition(retained, metav1.ConditionFalse, ReasonReferencesUnknown, "listing")
			wantTold(t, w, EventCreated, ReasonReferencesUnknown)
			if got := w.counted("roost_snapshot_retention_blocked"); got != 1 {
				t.Errorf("%v schedules are counted as blocked", got)
			}
			w.listing = nil
			w.reconcile()
			wantNames(t, w, "202604302300", "202605010100")
			w.wantCondition(retained, metav1.ConditionTrue, ReasonRetained)
		})
	}
}

func kindOf(t *testing.T, w *world, list client.ObjectList) string {
	t.Helper()
	gvk, err := w.raw.GroupVersionKindFor(list)
	if err != nil {
		t.Fatal(err)
	}
	return gvk.Kind
}

// TestTheLastReadySnapshotIsNotDeletedByAnOldMemory: memory has a newer one that a person deleted.
func TestTheLastReadySnapshotIsNotDeletedByAnOldMemory(t *testing.T) {
	w := newWorld(t, keepOne, point(oldest), point(newest))
	w.reconciler.Memory = olderReader{w.client, w.snapshots()}
	if err := w.raw.Delete(t.Context(), point(newest)); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	wantNames(t, w, "202604302100")
}

func TestAStatusDoesNotChangeWithTheOrderOfMemory(t *testing.T) {
	failed := func(s *snapshotv1alpha1.ApplicationSnapshot) {
		s.Status.Phase, s.CreationTimestamp = snapshotv1alpha1.PhaseFailed, metav1.Time{Time: at(oldest)}
	}
	uncut := func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Status.Phase = snapshotv1alpha1.PhaseCutting }
	w := newWorld(t, nil, point(oldest, failed), point(middle, failed), point(newest, uncut), point("2026-04-30T23:30:00Z", uncut))
	w.reconcile()
	w.reconcile()
	before, turned := len(w.writes), w.snapshots()
	slices.Reverse(turned)
	w.reconciler.Memory = olderReader{w.client, turned}
	w.reconcile()
	if again := w.writes[before:]; len(again) > 0 {
		t.Errorf("in another order, writes %v", again)
	}
}

func TestTheNewerOfTwoThatWereCutInOneSecondStays(t *testing.T) {
	begun := func(name string, after time.Duration) func(*snapshotv1alpha1.ApplicationSnapshot) {
		return func(s *snapshotv1alpha1.ApplicationSnapshot) {
			s.Name, s.UID = name, types.UID("uid-"+name)
			s.Status.StartTime = &metav1.MicroTime{Time: at(newest).Add(after)}
		}
	}
	for _, names := range [][2]string{{"nightly-now-aaaaaaaa", "nightly-now-bbbbbbbb"}, {"nightly-now-bbbbbbbb", "nightly-now-aaaaaaaa"}} {
		w := newWorld(t, keepOne, point(newest, begun(names[0], 100*time.Millisecond)), point(newest, begun(names[1], 600*time.Millisecond)))
		w.reconcileAt("2026-04-30T23:30:00Z")
		wantNames(t, w, strings.TrimPrefix(names[1], "nightly-"))
		if got := w.schedule().Status.LastSuccess; got != names[1] {
			t.Errorf("lastSuccess is %s, want %s", got, names[1])
		}
	}
}

// The schedule's clock has whole seconds, and a cut may be later than it by almost one.
func TestTheNewerStaysThatWasCutInThisSecond(t *testing.T) {
	const now = "2026-04-30T23:30:01Z"
	made := func(name string, began, cut, ready time.Duration) *snapshotv1alpha1.ApplicationSnapshot {
		return point(newest, func(s *snapshotv1alpha1.ApplicationSnapshot) {
			after := func(d time.Duration) *metav1.MicroTime {
				return &metav1.MicroTime{Time: at("2026-04-30T23:30:00Z").Add(d)}
			}
			s.Name, s.UID, s.CreationTimestamp = name, types.UID("uid-"+name), metav1.Time{Time: at("2026-04-30T23:30:00Z")}
			s.Status.StartTime, s.Status.CutTime, s.Status.ReadyTime = after(began), after(cut), after(ready)
		})
	}
	w := newWorld(t, keepOne,
		made("nightly-now-aaaaaaaa", 880*time.Millisecond, 910*time.Millisecond, 930*time.Millisecond),
		made("nightly-now-bbbbbbbb", 970*time.Millisecond, 1010*time.Millisecond, 1020*time.Millisecond))
	w.reconcileAt(now)
	wantNames(t, w, "now-bbbbbbbb")
	if got := w.schedule().Status.LastSuccess; got != "nightly-now-bbbbbbbb" {
		t.Errorf("lastSuccess is %s", got)
	}
}

func TestASnapshotThatIsPinnedAtTheLastMomentStays(t *testing.T) {
	w := newWorld(t, keepOne, point(oldest), point(newest))
	w.before = func(write string) error {
		if strings.HasPrefix(write, "delete ") {
			w.before = nil
			victim := point(oldest)
			if err := w.raw.Get(t.Context(), client.ObjectKeyFromObject(victim), victim); err != nil {
				return err
			}
			pinned(victim)
			return w.raw.Update(t.Context(), victim)
		}
		return nil
	}
	if result := w.reconcile(); result.RequeueAfter != soon {
		t.Errorf("looked again after %s", result.RequeueAfter)
	}
	w.reconcile()
	wantNames(t, w, "202604302100", "202604302300")
}

func TestRetentionOfAScheduleThatMemoryHasOtherwise(t *testing.T) {
	w := newWorld(t, keepOne, point(oldest), point(newest))
	stale := w.schedule()
	w.edit(func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.Retention.Last = 2 })
	w.reconciler.Memory = staleReader{w.client, stale}
	w.reconcile()
	wantNames(t, w, "202604302100", "202604302300")
}

func TestAgeWaitsWithoutRuns(t *testing.T) {
	byAge := func(s *snapshotv1alpha1.SnapshotSchedule) {
		s.Spec.Retention = snapshotv1alpha1.Retention{MaxAge: &metav1.Duration{Duration: time.Hour}, MinReady: 1}
	}
	for name, tc := range map[string]struct {
		change func(*snapshotv1alpha1.SnapshotSchedule)
		want   []string
	}{
		"with runs":               {byAge, []string{"202604302300"}},
		"suspended":               {func(s *snapshotv1alpha1.SnapshotSchedule) { byAge(s); s.Spec.Suspend = true }, []string{"202604302100", "202604302200", "202604302300"}},
		"invalid":                 {func(s *snapshotv1alpha1.SnapshotSchedule) { byAge(s); s.Spec.Schedule = "0 0 30 2 *" }, []string{"202604302100", "202604302200", "202604302300"}},
		"suspended, by number":    {func(s *snapshotv1alpha1.SnapshotSchedule) { keepOne(s); s.Spec.Suspend = true }, []string{"202604302300"}},
		"in a zone nobody knows":  {func(s *snapshotv1alpha1.SnapshotSchedule) { keepOne(s); s.Spec.TimeZone = "Mars/Phobos" }, []string{"202604302100", "202604302200", "202604302300"}},
		"failing, as all are old": {func(s *snapshotv1alpha1.SnapshotSchedule) { byAge(s); s.Spec.Retention.MinReady = 2 }, []string{"202604302200", "202604302300"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.change, point(oldest), point(middle), point(newest))
			w.reconcileAt("2026-05-01T00:45:00Z")
			wantNames(t, w, tc.want...)
			if got := w.schedule().Status.ReadySnapshots; int(got) != len(tc.want) {
				t.Errorf("%d are counted as ready", got)
			}
		})
	}
}

func TestRetentionComesBackWhenSomethingGrowsTooOld(t *testing.T) {
	w := newWorld(t, func(s *snapshotv1alpha1.SnapshotSchedule) {
		s.Spec.Retention = snapshotv1alpha1.Retention{MaxAge: &metav1.Duration{Duration: 3*time.Hour + 15*time.Minute}, MinReady: 1}
	}, point(oldest), point(newest))
	result := w.reconcile()
	if want := 14*time.Minute + 30*time.Second; result.RequeueAfter < want || result.RequeueAfter > want+time.Second {
		t.Fatalf("looked again after %s, want %s", result.RequeueAfter, want)
	}
	w.clock.Step(result.RequeueAfter + time.Second)
	w.reconcile()
	wantNames(t, w, "202604302300")
}

func TestFailedSnapshotsHaveTheirOwnHistory(t *testing.T) {
	failed := func(s *snapshotv1alpha1.ApplicationSnapshot) {
		s.Status.Phase, s.Status.CutTime = snapshotv1alpha1.PhaseFailed, nil
	}
	w := newWorld(t, func(s *snapshotv1alpha1.SnapshotSchedule) { keepOne(s); s.Spec.Retention.Failed = ptr.To[int32](1) },
		point("2026-04-30T20:00:00Z"), point(oldest, failed), point(middle, failed), point(newest, failed, pinned))
	w.reconcile()
	wantNames(t, w, "202604302000", "202604302300")
	status := w.schedule().Status
	if status.LastFailure != slotName(key.Name, at(newest)) || status.LastSuccess != slotName(key.Name, at("2026-04-30T20:00:00Z")) {
		t.Errorf("status is %+v", status)
	}
	if got := w.counted("roost_snapshot_retention_deletions_total", "Failed", "Done"); got != 2 {
		t.Errorf("%v deletions are counted", got)
	}
}

func TestADeleteThatFailsIsSaidAndHoldsNoRunUp(t *testing.T) {
	w := newWorld(t, keepOne, point(oldest), point(newest))
	w.before = func(write string) error {
		if strings.HasPrefix(write, "delete ") {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "applicationsnapshots"}, "x", errors.New("not you"))
		}
		return nil
	}
	w.clock.SetTime(at("2026-05-01T01:00:00Z"))
	if _, err := w.reconciler.Reconcile(t.Context(), reconcile.Request{NamespacedName: key}); err == nil {
		t.Error("there is no error to try again for")
	}
	wantNames(t, w, "202604302100", "202604302300", "202605010100")
	w.wantCondition(retained, metav1.ConditionFalse, ReasonDeleteFailed, "not you")
	if got := w.counted("roost_snapshot_retention_deletions_total", "Ready", "Failed"); got != 1 {
		t.Errorf("%v failed deletions are counted", got)
	}
}

func TestDeletionPolicy(t *testing.T) {
	policy := func(policy snapshotv1alpha1.DeletionPolicy) func(*snapshotv1alpha1.SnapshotScheduleSpec) {
		return func(s *snapshotv1alpha1.SnapshotScheduleSpec) { s.DeletionPolicy = policy }
	}
	foreign := point(oldest, func(s *snapshotv1alpha1.ApplicationSnapshot) { s.Labels = nil })
	other := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "x"}
	w := newWorld(t, nil, foreign, point(newest, func(s *snapshotv1alpha1.ApplicationSnapshot) { s.OwnerReferences = []metav1.OwnerReference{other} }))
	owners := func() map[string]string {
		found := map[string]string{}
		for _, snapshot := range w.snapshots() {
			for _, owner := range snapshot.OwnerReferences {
				found[snapshot.Name] += owner.Kind + "/" + string(owner.UID) + " "
			}
		}
		return found
	}
	w.reconcileAt("2026-05-01T01:00:00Z")
	kept := map[string]string{"nightly-202604302300": "ConfigMap/x "}
	if diff := cmp.Diff(kept, owners()); diff != "" {
		t.Errorf("with Retain (-want +got):\n%s", diff)
	}
	w.finish(snapshotv1alpha1.PhaseReady)
	w.edit(policy(snapshotv1alpha1.DeletionPolicyDelete))
	w.reconcileAt("2026-05-01T02:00:00Z")
	want := map[string]string{
		"nightly-202604302300": "ConfigMap/x SnapshotSchedule/uid-nightly ", "nightly-202605010100": "SnapshotSchedule/uid-nightly ", "nightly-202605010200": "SnapshotSchedule/uid-nightly ",
	}
	if diff := cmp.Diff(want, owners()); diff != "" {
		t.Errorf("with Delete (-want +got):\n%s", diff)
	}
	stale := w.schedule()
	w.edit(policy(snapshotv1alpha1.DeletionPolicyRetain))
	w.reconcile()
	if diff := cmp.Diff(kept, owners()); diff != "" {
		t.Errorf("with Retain again (-want +got):\n%s", diff)
	}
	w.reconciler.Memory = staleReader{w.client, stale} // it still says Delete
	w.reconcile()
	if diff := cmp.Diff(kept, owners()); diff != "" {
		t.Errorf("with an old memory (-want +got):\n%s", diff)
	}
}

func TestAScheduleThatIsBeingDeletedDoesNothing(t *testing.T) {
	w := newWorld(t, func(s *snapshotv1alpha1.SnapshotSchedule) { keepOne(s); s.Finalizers = []string{"example.com/x"} }, point(oldest), point(newest))
	if err := w.raw.Delete(t.Context(), w.schedule()); err != nil {
		t.Fatal(err)
	}
	w.reconcileAt("2026-05-01T01:00:00Z")
	if len(w.writes) > 0 {
		t.Errorf("writes %v", w.writes)
	}
}

// olderReader has certain ApplicationSnapshots.
type olderReader struct {
	client.Reader
	snapshots []snapshotv1alpha1.ApplicationSnapshot
}

func (r olderReader) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if snapshots, ok := list.(*snapshotv1alpha1.ApplicationSnapshotList); ok {
		snapshots.Items = slices.Clone(r.snapshots)
		return nil
	}
	return r.Reader.List(ctx, list, opts...)
}
