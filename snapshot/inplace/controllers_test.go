// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// settle has the controllers act until none has anything to do.
func (w *world) settle() {
	w.t.Helper()
	for range 50 {
		acted := false
		for _, act := range []func() bool{w.statefulSet, w.podsPlaced, w.attachments, w.protections, w.bind, w.provision, w.bind, w.released, w.snapshotsTaken} {
			acted = act() || acted
		}
		if !acted {
			return
		}
	}
	w.t.Fatal("the controllers never rest")
}

func (w *world) claims() []corev1.PersistentVolumeClaim {
	list := &corev1.PersistentVolumeClaimList{}
	w.must(w.api.List(w.t.Context(), list))
	return list.Items
}

func (w *world) volumes() []corev1.PersistentVolume {
	list := &corev1.PersistentVolumeList{}
	w.must(w.api.List(w.t.Context(), list))
	return list.Items
}

func (w *world) pods() []corev1.Pod {
	list := &corev1.PodList{}
	w.must(w.api.List(w.t.Context(), list))
	return list.Items
}

func (w *world) claim(name string) *corev1.PersistentVolumeClaim {
	found := &corev1.PersistentVolumeClaim{}
	if apierrors.IsNotFound(w.api.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, found)) {
		return nil
	}
	return found
}

func (w *world) volume(name string) *corev1.PersistentVolume {
	found := &corev1.PersistentVolume{}
	if apierrors.IsNotFound(w.api.Get(w.t.Context(), types.NamespacedName{Name: name}, found)) {
		return nil
	}
	return found
}

func (w *world) set() *appsv1.StatefulSet {
	found := &appsv1.StatefulSet{}
	w.must(w.api.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: "db"}, found))
	return found
}

func (w *world) scale(replicas int32) {
	set := w.set()
	set.Spec.Replicas = &replicas
	w.must(w.api.Update(w.t.Context(), set))
}

// statefulSet makes the pods and the claims that are missing, and deletes pods that are too many.
func (w *world) statefulSet() bool {
	set, acted := w.set(), false
	for ordinal := range int(*set.Spec.Replicas) {
		claim := w.claimFor(fmt.Sprintf("data-db-%d", ordinal), map[string]string{"app": "db"})
		if w.claim(claim.Name) == nil {
			w.create(claim)
			acted = true
		}
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("db-%d", ordinal), OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("StatefulSet")),
			}},
			Spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name},
			}}}},
		}
		if err := w.api.Get(w.t.Context(), client.ObjectKeyFromObject(pod), &corev1.Pod{}); apierrors.IsNotFound(err) {
			w.create(pod)
			acted = true
		}
	}
	for _, pod := range w.pods() {
		var ordinal int32
		if _, err := fmt.Sscanf(pod.Name, "db-%d", &ordinal); err != nil || ordinal < *set.Spec.Replicas || w.stuckPods && pod.Spec.NodeName != "" {
			continue
		}
		w.must(w.api.Delete(w.t.Context(), &pod))
		acted = true
	}
	return acted
}

// podsPlaced gives pods a node whose claims are bound and held by nobody.
func (w *world) podsPlaced() bool {
	acted := false
	for _, pod := range w.pods() {
		if pod.Spec.NodeName != "" {
			continue
		}
		claim := w.claim(pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName)
		if claim == nil || claim.Status.Phase != corev1.ClaimBound || claim.DeletionTimestamp != nil {
			continue
		}
		if claim.Annotations[snapshotv1alpha1.AnnotationRestoring] != "" && !w.noGate {
			continue
		}
		pod.Spec.NodeName = "n1"
		w.must(w.api.Update(w.t.Context(), &pod))
		acted = true
	}
	return acted
}

// attachments are of the volumes of pods that have a node.
func (w *world) attachments() bool {
	wanted := map[string]bool{}
	for _, pod := range w.pods() {
		if claim := w.claim(pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName); claim != nil && pod.Spec.NodeName != "" {
			wanted[claim.Spec.VolumeName] = true
		}
	}
	acted := false
	list := &storagev1.VolumeAttachmentList{}
	w.must(w.api.List(w.t.Context(), list))
	for _, attachment := range list.Items {
		if name := *attachment.Spec.Source.PersistentVolumeName; wanted[name] {
			delete(wanted, name)
		} else if !w.stuckAttachments {
			w.must(w.api.Delete(w.t.Context(), &attachment))
			acted = true
		}
	}
	for name := range wanted {
		w.create(&storagev1.VolumeAttachment{
			ObjectMeta: metav1.ObjectMeta{Name: "attachment-of-" + name},
			Spec:       storagev1.VolumeAttachmentSpec{Attacher: driver, NodeName: "n1", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr.To(name)}},
		})
		acted = true
	}
	return acted
}

// protections let claims go that no pod with a node uses.
func (w *world) protections() bool {
	acted := false
	for _, claim := range w.claims() {
		used := slices.ContainsFunc(w.pods(), func(pod corev1.Pod) bool {
			return pod.Spec.NodeName != "" && pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName == claim.Name
		})
		if claim.DeletionTimestamp != nil && !used && slices.Contains(claim.Finalizers, protection) {
			claim.Finalizers = nil
			w.must(w.api.Update(w.t.Context(), &claim))
			acted = true
		}
	}
	return acted
}

// provision makes volumes for claims that have none.
func (w *world) provision() bool {
	acted := false
	class := &storagev1.StorageClass{}
	w.must(w.api.Get(w.t.Context(), types.NamespacedName{Name: className}, class))
	for _, claim := range w.claims() {
		waits := *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer && claim.Annotations["volume.kubernetes.io/selected-node"] == ""
		if claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil || waits || w.noProvisioner || w.volume("pvc-"+string(claim.UID)) != nil {
			continue
		}
		what := "empty"
		if claim.Spec.DataSource != nil {
			what = past
		}
		w.create(w.volumeFor(&claim, "pvc-"+string(claim.UID), what))
		acted = true
	}
	return acted
}

// bind is the side of claims.
func (w *world) bind() bool {
	acted := false
	for _, claim := range w.claims() {
		if claim.Status.Phase == corev1.ClaimBound || claim.DeletionTimestamp != nil {
			continue
		}
		volumes := w.volumes()
		at := slices.IndexFunc(volumes, func(volume corev1.PersistentVolume) bool { return fitting(&claim, &volume) })
		if at >= 0 {
			w.bindTo(&claim, &volumes[at])
			acted = true
		}
	}
	return acted
}

func fitting(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) bool {
	ref := volume.Spec.ClaimRef
	if ref == nil || ref.Namespace != claim.Namespace || ref.Name != claim.Name || ref.UID != "" && ref.UID != claim.UID {
		return false
	}
	return volume.DeletionTimestamp == nil && (claim.Spec.VolumeName == "" || claim.Spec.VolumeName == volume.Name)
}

func (w *world) bindTo(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) {
	w.t.Helper()
	volume.Spec.ClaimRef.UID = claim.UID
	w.must(w.api.Update(w.t.Context(), volume))
	volume.Status.Phase = corev1.VolumeBound
	w.must(w.api.Status().Update(w.t.Context(), volume))
	claim.Spec.VolumeName = volume.Name
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, "pv.kubernetes.io/bind-completed", "yes")
	w.must(w.api.Update(w.t.Context(), claim))
	claim.Status.Phase = corev1.ClaimBound
	claim.Status.Capacity = claim.Spec.Resources.Requests
	w.must(w.api.Status().Update(w.t.Context(), claim))
}

// released is the side of volumes: one whose claim is gone is Released, and deleted where its policy says so.
func (w *world) released() bool {
	acted := false
	for _, volume := range w.volumes() {
		phase := corev1.VolumeAvailable
		if ref := volume.Spec.ClaimRef; ref != nil && ref.UID != "" {
			phase = corev1.VolumeReleased
			if claim := w.claim(ref.Name); claim != nil && claim.UID == ref.UID {
				phase = corev1.VolumeBound
			}
		}
		if phase != volume.Status.Phase {
			volume.Status.Phase = phase
			w.must(w.api.Status().Update(w.t.Context(), &volume))
			acted = true
		}
		if phase == corev1.VolumeReleased && volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
			w.must(w.api.Delete(w.t.Context(), &volume))
			w.destroyed[volume.Name] = volume.Annotations[content]
			acted = true
		}
	}
	return acted
}

// snapshotsTaken has ApplicationSnapshots ready, or failed.
func (w *world) snapshotsTaken() bool {
	acted := false
	list := &snapshotv1alpha1.ApplicationSnapshotList{}
	w.must(w.api.List(w.t.Context(), list))
	for _, snapshot := range list.Items {
		if snapshot.Status.Phase != "" || w.stuckSnapshots {
			continue
		}
		snapshot.Status.Phase = snapshotv1alpha1.PhaseReady
		if w.failSafety {
			snapshot.Status.Phase, snapshot.Status.Message = snapshotv1alpha1.PhaseFailed, "quota"
		}
		for _, name := range snapshot.Spec.ClaimNames {
			snapshot.Status.Members = append(snapshot.Status.Members, snapshotv1alpha1.SnapshotMember{
				ClaimName: name, ClaimUID: w.claim(name).UID, State: snapshotv1alpha1.MemberReady,
			})
		}
		meta.SetStatusCondition(&snapshot.Status.Conditions, metav1.Condition{
			Type: snapshotv1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Ready",
		})
		w.must(w.api.Status().Update(w.t.Context(), &snapshot))
		acted = true
	}
	return acted
}

// holds is what each claim holds, with the volumes that no claim has and the policies of all.
func (w *world) holds() map[string]string {
	held := map[string]string{}
	for _, volume := range w.volumes() {
		key := "volume " + volume.Name
		if ref := volume.Spec.ClaimRef; ref != nil && volume.Status.Phase == corev1.VolumeBound {
			key = ref.Name
		}
		if strings.HasPrefix(key, "volume pvc-") {
			key = "another volume of " + volume.Spec.ClaimRef.Name
		}
		held[key] = volume.Annotations[content] + ", " + string(volume.Spec.PersistentVolumeReclaimPolicy)
	}
	return held
}

// running is how many pods have a node.
func (w *world) running() int {
	count := 0
	for _, pod := range w.pods() {
		if pod.Spec.NodeName != "" {
			count++
		}
	}
	return count
}
