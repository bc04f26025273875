// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package newclaims

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/restore"
)

func podWith(claim string, phase corev1.PodPhase) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "pod-" + claim},
		Spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}}}},
		Status: corev1.PodStatus{Phase: phase},
	}
}

func TestAQuotaOnTheSecondClaim(t *testing.T) {
	for name, lifted := range map[string]bool{"that is lifted": true, "that stays": false} {
		t.Run(name, func(t *testing.T) {
			w := begin(t, nil)
			w.quota = 1
			w.play()
			object := w.wantPhase(snapshotv1alpha1.RestorePopulating, restore.ReasonQuotaExceeded)
			w.wantClaims("data-copy")
			w.wantEvent(EventWaiting)
			if got := object.Status.Claims[1].Message; !strings.Contains(got, "exceeded quota") {
				t.Errorf("log-copy says %q", got)
			}
			if len(w.limits.held) > 0 {
				t.Errorf("holds %v while the storage system fills nothing", w.limits.held)
			}
			if lifted {
				w.quota = 0
				w.play()
				w.wantPhase(snapshotv1alpha1.RestoreCompleted, ReasonRestored)
				w.wantClaims("data-copy", "log-copy")
				return
			}
			w.clock.Step(time.Hour)
			w.play()
			object = w.wantPhase(snapshotv1alpha1.RestoreFailed, ReasonDeadlineExceeded)
			w.wantClaims()
			w.wantEvent(EventClaimRemoved)
			if len(object.Finalizers) > 0 || !strings.Contains(object.Status.Message, "exceeded quota") {
				t.Errorf("finalizers %v, message %q", object.Finalizers, object.Status.Message)
			}
		})
	}
}

func TestWhatAFailedRestoreRemoves(t *testing.T) {
	for name, tc := range map[string]struct {
		lazy bool
		pod  *corev1.Pod
		// had has a pod come and go.
		had  bool
		keep []string
	}{
		"a claim that is filled":                  {},
		"a claim that waits for its pod":          {lazy: true},
		"not one that a pod uses":                 {pod: podWith("data-copy", corev1.PodRunning), keep: []string{"data-copy"}},
		"not one that a pod has used":             {pod: podWith("data-copy", corev1.PodSucceeded), keep: []string{"data-copy"}},
		"not one that a pod waits for":            {lazy: true, pod: podWith("data-copy", corev1.PodPending), keep: []string{"data-copy"}},
		"not one that had its first pod":          {lazy: true, had: true, keep: []string{"data-copy"}},
		"although another claim is used by a pod": {pod: podWith("other", corev1.PodRunning)},
	} {
		t.Run(name, func(t *testing.T) {
			w := begin(t, nil)
			if tc.lazy {
				w = begin(t, lazily)
			}
			w.quota, w.consumers["data-copy"] = 1, tc.had
			w.play()
			if tc.pod != nil {
				w.must(w.raw.Create(t.Context(), tc.pod))
			}
			w.clock.Step(time.Hour)
			w.play()
			object := w.wantPhase(snapshotv1alpha1.RestoreFailed, ReasonDeadlineExceeded)
			w.wantClaims(tc.keep...)
			kept := strings.HasPrefix(object.Status.Claims[0].Message, "kept: ")
			if wantKept := len(tc.keep) > 0; kept != wantKept {
				t.Errorf("data-copy says %q", object.Status.Claims[0].Message)
			}
			if len(tc.keep) == 0 {
				return
			}
			// What was kept is the user's: it stays when its pod is gone.
			w.wantEvent(EventClaimKept)
			if tc.pod != nil {
				w.must(w.raw.Delete(t.Context(), tc.pod))
			}
			w.play()
			w.wantClaims(tc.keep...)
		})
	}
}

func TestAFailedRestoreRemovesOnlyWhatItMade(t *testing.T) {
	lookalike := func(w *world, name string, from *corev1.TypedLocalObjectReference) {
		w.must(w.raw.Create(w.t.Context(), &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: name, Labels: map[string]string{snapshotv1alpha1.LabelRestore: "restore-uid"}},
			Spec:       corev1.PersistentVolumeClaimSpec{DataSource: from, StorageClassName: ptr.To(lazy)},
		}))
	}
	w := begin(t, nil)
	w.quota = 1
	w.play()
	// The user replaces ours, and has others that look like ours.
	ours := w.claims()["data-copy"]
	w.must(w.raw.Delete(t.Context(), ours))
	lookalike(w, "data-copy", ours.Spec.DataSource)
	lookalike(w, "log-copy", nil)
	lookalike(w, "third", ours.Spec.DataSource)
	w.play()
	w.wantPhase(snapshotv1alpha1.RestoreFailed, ReasonClaimGone)
	w.wantClaims("data-copy", "log-copy", "third")
}

func TestAClaimThatTheUserDeletesMeanwhileIsNotMadeAgain(t *testing.T) {
	w := begin(t, nil)
	w.idle = true
	w.play()
	w.must(w.raw.Delete(t.Context(), w.claims()["data-copy"]))
	w.play()
	w.wantPhase(snapshotv1alpha1.RestoreFailed, ReasonClaimGone)
	w.wantClaims()
}

func TestAClaimThatIsBeingDeletedIsGone(t *testing.T) {
	w := begin(t, nil)
	w.quota = 1
	w.play()
	claim := w.claims()["data-copy"]
	claim.Finalizers = []string{"kubernetes.io/pvc-protection"}
	w.must(w.raw.Update(t.Context(), claim))
	w.must(w.raw.Delete(t.Context(), claim))
	w.play()
	w.wantPhase(snapshotv1alpha1.RestoreFailed, ReasonClaimGone)
}

func TestAClaimThatIsNeverFilled(t *testing.T) {
	w := begin(t, nil)
	w.idle = true
	w.play()
	w.clock.Step(59 * time.Minute)
	w.play()
	w.wantPhase(snapshotv1alpha1.RestorePopulating, ReasonPopulating)
	w.clock.Step(time.Minute)
	w.play()
	object := w.wantPhase(snapshotv1alpha1.RestoreFailed, ReasonDeadlineExceeded)
	if !strings.Contains(object.Status.Message, "data-copy, log-copy") {
		t.Errorf("message is %q, want the claims in it", object.Status.Message)
	}
	w.wantClaims()
}

func TestTheSnapshotVanishesMidway(t *testing.T) {
	for name, replaced := range map[string]bool{"for good": false, "and another has its name": true} {
		t.Run(name, func(t *testing.T) {
			w := begin(t, nil)
			w.quota = 1
			w.play()
			app := taken("data", "log")[0]
			w.must(w.raw.Delete(t.Context(), app))
			if replaced {
				w.must(w.raw.Create(t.Context(), taken("data", "log")[0]))
			}
			w.quota = 0
			w.play()
			w.wantPhase(snapshotv1alpha1.RestoreFailed, restore.ReasonSourceGone)
			w.wantClaims()
			w.wantEvent(EventFailed)
		})
	}
}

func TestTwoRestoresIntoOneClaim(t *testing.T) {
	second := asked()
	second.Name, second.UID = "second", "second-uid"
	w := begin(t, nil, second)
	w.idle = true
	// The second makes its claim after the first has checked that there is none.
	w.before = func(what string) {
		if strings.HasPrefix(what, "create") && strings.HasSuffix(what, "data-copy") {
			w.before = nil
			w.key = client.ObjectKeyFromObject(second)
			w.play()
			w.key = theKey
		}
	}
	w.play()
	w.wantPhase(snapshotv1alpha1.RestoreFailed, restore.ReasonClaimExists)
	w.wantClaims("data-copy", "log-copy")
	w.idle, w.key = false, client.ObjectKeyFromObject(second)
	w.controllers()
	w.play()
	w.wantPhase(snapshotv1alpha1.RestoreCompleted, ReasonRestored)
	for name, claim := range w.claims() {
		if got := claim.Labels[snapshotv1alpha1.LabelRestore]; got != "second-uid" {
			t.Errorf("%s is of the restore %s", name, got)
		}
	}
}

func TestDeletingTheRestore(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*snapshotv1alpha1.SnapshotRestore)
		idle   bool
		quota  int
		keep   []string
	}{
		"completed":                          {keep: []string{"data-copy", "log-copy"}},
		"completed, and claims wait":         {change: lazily, keep: []string{"data-copy", "log-copy"}},
		"under way":                          {idle: true},
		"under way, with one that is filled": {quota: 1, keep: []string{"data-copy"}},
		"under way, with one that waits":     {change: lazily, quota: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := begin(t, tc.change)
			w.idle, w.quota = tc.idle, tc.quota
			w.play()
			w.must(w.raw.Delete(t.Context(), w.restore()))
			w.play()
			if object := w.restore(); object != nil {
				t.Errorf("the restore is still there: %+v", object.Status)
			}
			w.wantClaims(tc.keep...)
			if len(w.limits.held) > 0 {
				t.Errorf("holds %v", w.limits.held)
			}
		})
	}
}

func TestAnUnfinishedRestoreThatIsDeletedKeepsWhatAPodUses(t *testing.T) {
	w := begin(t, lazily)
	w.quota = 1
	w.play()
	w.must(w.raw.Create(t.Context(), podWith("data-copy", corev1.PodPending)))
	w.must(w.raw.Delete(t.Context(), w.restore()))
	w.play()
	w.wantClaims("data-copy")
}
