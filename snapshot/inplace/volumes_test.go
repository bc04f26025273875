// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/journal"
	"roost.dev/roost/snapshot/restore"
)

// TestLetGo has a volume that is Released from the claim of the journal, and its neighbours, which are not.
func TestLetGo(t *testing.T) {
	for name, tc := range map[string]struct {
		change     func(*corev1.PersistentVolume)
		phase      corev1.PersistentVolumePhase
		claim      string
		wantDone   bool
		wantPolicy corev1.PersistentVolumeReclaimPolicy
	}{
		"released":                       {phase: corev1.VolumeReleased, wantDone: true, wantPolicy: corev1.PersistentVolumeReclaimDelete},
		"not said to be released yet":    {phase: corev1.VolumeBound, wantPolicy: corev1.PersistentVolumeReclaimRetain},
		"available to whoever wants it":  {phase: corev1.VolumeAvailable, wantPolicy: corev1.PersistentVolumeReclaimRetain},
		"released from another claim":    {change: func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "other" }, phase: corev1.VolumeReleased, wantDone: true, wantPolicy: corev1.PersistentVolumeReclaimRetain},
		"released from nobody any more":  {change: func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil }, phase: corev1.VolumeReleased, wantDone: true, wantPolicy: corev1.PersistentVolumeReclaimRetain},
		"released, and named by a claim": {phase: corev1.VolumeReleased, claim: "spare", wantDone: true, wantPolicy: corev1.PersistentVolumeReclaimRetain},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storagev1.VolumeBindingImmediate)
			volume := w.volumeFor(w.claimFor("gone", nil), "spare", present)
			volume.Spec.ClaimRef.UID, volume.Spec.PersistentVolumeReclaimPolicy = "gone", corev1.PersistentVolumeReclaimRetain
			if tc.change != nil {
				tc.change(volume)
			}
			volume.Status.Phase = tc.phase
			w.create(volume)
			if tc.claim != "" {
				claim := w.claimFor("rescue", nil)
				claim.Spec.VolumeName = tc.claim
				w.create(claim)
			}
			w.ask()
			p := &procedure{Reconciler: w.reconciler, journal: journal.Open[*snapshotv1alpha1.SnapshotRestore](w.client(), w.restore())}
			done, err := p.letGo(t.Context(), "spare", "Delete", "gone")
			if err != nil || done != tc.wantDone {
				t.Errorf("letGo = %v, %v, want %v", done, err, tc.wantDone)
			}
			if got := w.volume("spare").Spec.PersistentVolumeReclaimPolicy; got != tc.wantPolicy {
				t.Errorf("the reclaim policy is %s, want %s", got, tc.wantPolicy)
			}
		})
	}
}

// TestBothVolumesAreRetainedBeforeAClaimIsDeleted looks at the moment in which the swap begins.
func TestBothVolumesAreRetainedBeforeAClaimIsDeleted(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.ask()
	w.until("securing", w.phase(snapshotv1alpha1.RestoreSecuring))
	w.lookOnce("the swap begins")
	for _, volume := range w.volumes() {
		if got := volume.Spec.PersistentVolumeReclaimPolicy; got != retain {
			t.Errorf("volume %s has the reclaim policy %s, want Retain", volume.Name, got)
		}
	}
}

// TestAVolumeInUseIsNotDiscarded has a claim that is bound to the volume that would be removed.
func TestAVolumeInUseIsNotDiscarded(t *testing.T) {
	w := completed(t)
	p := &procedure{Reconciler: w.reconciler, journal: journal.Open[*snapshotv1alpha1.SnapshotRestore](w.client(), w.restore())}
	if _, err := p.discard(t.Context(), w.member("data-db-0")); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.wantWorld(after)
}

// TestVolumesOfOtherNamespaces are left as they are, whatever the status names.
func TestVolumesOfOtherNamespaces(t *testing.T) {
	w := completed(t)
	claim := w.claim("data-db-0")
	gold := w.volumeFor(claim, "gold", present)
	gold.Spec.ClaimRef.Namespace = "elsewhere"
	w.create(gold)
	gold.Status.Phase = corev1.VolumeReleased
	w.must(w.api.Status().Update(t.Context(), gold))
	w.updateClaim("data-db-0", func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "gold" })
	version := w.volume("gold").ResourceVersion
	p := &procedure{Reconciler: w.reconciler, journal: journal.Open[*snapshotv1alpha1.SnapshotRestore](w.client(), w.restore())}
	_, err := p.keepBack(t.Context(), "gold")
	if problem, ok := restore.AsProblem(err); !ok || problem.Reason != ReasonVolumeGone {
		t.Errorf("keepBack said %v, want the problem %s", err, ReasonVolumeGone)
	}
	if done, err := p.letGo(t.Context(), "gold", "Recycle", claim.UID); err != nil || !done {
		t.Errorf("letGo = %v, %v, want it done with", done, err)
	}
	if err := p.settle(t.Context(), w.member("data-db-0"), "gold", "Retain"); err != nil {
		t.Error(err)
	}
	if got := w.volume("gold"); got.ResourceVersion != version {
		t.Errorf("the volume is %+v, want it as it was", got.Spec)
	}
}
