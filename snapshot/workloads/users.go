// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// Most is how many workloads a journal has room for.
const Most = 32

// Users are who uses some claims.
type Users struct {
	// Workloads can be stopped, by kind and name. Those that have no replicas now are among them: somebody may scale them up.
	Workloads []snapshotv1alpha1.StoppedWorkload
	// Refused says of each of the others why it cannot.
	Refused []string
}

// Of reads from the API server who uses the claims of the namespace, by pods and by the templates of workloads.
func (w *Workloads) Of(ctx context.Context, namespace string, claims []string) (*Users, error) {
	f := finder{Workloads: w, namespace: namespace, claims: claims, seen: map[reference]bool{}, users: &Users{}}
	pods, err := w.Pods(ctx, namespace, claims)
	if err != nil {
		return nil, err
	}
	for _, pod := range append(pods.Running, pods.Waiting...) {
		if err := f.followPod(ctx, &pod); err != nil {
			return nil, err
		}
	}
	if err := f.followTemplates(ctx); err != nil {
		return nil, err
	}
	slices.SortFunc(f.users.Workloads, func(a, b snapshotv1alpha1.StoppedWorkload) int {
		return strings.Compare(a.Kind+" "+a.Name, b.Kind+" "+b.Name)
	})
	if len(f.users.Workloads) > Most {
		f.refuse("%d workloads use the claims, at most %d can be stopped in one restore", len(f.users.Workloads), Most)
	}
	slices.Sort(f.users.Refused)
	f.users.Refused = slices.Compact(f.users.Refused)
	return f.users, nil
}

// finder collects the users of some claims.
type finder struct {
	*Workloads
	namespace string
	claims    []string
	scalers   []autoscaler
	listed    bool
	seen      map[reference]bool
	users     *Users
}

func (f *finder) refuse(format string, args ...any) {
	f.users.Refused = append(f.users.Refused, fmt.Sprintf(format, args...))
}

// followPod adds the workload that a pod belongs to.
func (f *finder) followPod(ctx context.Context, pod *corev1.Pod) error {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		f.refuse("pod %s belongs to no workload: delete it, nobody else can start it again", pod.Name)
		return nil
	}
	r := referenceOf(owner)
	switch {
	case r.is(appsv1.GroupName, "DaemonSet"):
		f.refuse("pod %s is of DaemonSet %s, which cannot be scaled", pod.Name, r.name)
	case r.is(batchv1.GroupName, "Job"):
		f.refuse("pod %s is of Job %s: wait for it to end, or delete it", pod.Name, r.name)
	case r.is(corev1.GroupName, "Node"):
		f.refuse("pod %s is a static one of Node %s", pod.Name, r.name)
	default:
		return f.follow(ctx, r)
	}
	return nil
}

// follow adds a workload, or who stands above it where that is what Kubernetes scales.
func (f *finder) follow(ctx context.Context, r reference) error {
	if f.seen[r] {
		return nil
	}
	object, err := f.read(ctx, f.namespace, r)
	switch {
	case apierrors.IsNotFound(err) || err == nil && object.GetUID() != r.uid:
		f.refuse("%s is gone, and its pods are not yet", r)
		return nil
	case apierrors.IsForbidden(err) || meta.IsNoMatchError(err):
		f.refuse("%s uses the claims, and cannot be read: %v", r, err)
		return nil
	case err != nil:
		return err
	}
	f.seen[r] = true
	if above := metav1.GetControllerOf(object); above != nil && r.is(appsv1.GroupName, "ReplicaSet") {
		scales, err := f.scales(ctx, referenceOf(above))
		if err != nil {
			return err
		}
		if scales {
			return f.follow(ctx, referenceOf(above))
		}
	}
	return f.add(ctx, r, object)
}

// scales says whether what stands above a ReplicaSet can be scaled itself.
func (f *finder) scales(ctx context.Context, r reference) (bool, error) {
	if r.is(appsv1.GroupName, "Deployment") {
		return true, nil
	}
	object, err := f.read(ctx, f.namespace, r)
	if err == nil {
		_, err = f.replicas(ctx, object)
	}
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || meta.IsNoMatchError(err) {
		return false, nil
	}
	return err == nil, err
}

// add adds a workload that was read.
func (f *finder) add(ctx context.Context, r reference, object client.Object) error {
	if set, ok := object.(*appsv1.StatefulSet); ok && deletesClaims(set) {
		f.refuse("StatefulSet %s has persistentVolumeClaimRetentionPolicy.whenScaled: Delete, and would delete its claims when it is scaled to 0: set it to Retain", r.name)
		return nil
	}
	replicas, err := f.replicas(ctx, object)
	switch {
	case apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || meta.IsNoMatchError(err):
		f.refuse("%s cannot be scaled: %v", r, err)
		return nil
	case err != nil:
		return fmt.Errorf("reading the scale of %s: %w", r, err)
	}
	owner, err := f.ownerOf(ctx, r, object)
	if err != nil {
		return err
	}
	f.users.Workloads = append(f.users.Workloads, snapshotv1alpha1.StoppedWorkload{
		APIVersion: r.apiVersion, Kind: r.kind, Name: r.name, UID: r.uid,
		Replicas: replicas, Owner: owner, State: snapshotv1alpha1.WorkloadPlanned,
	})
	return nil
}

func deletesClaims(set *appsv1.StatefulSet) bool {
	policy := set.Spec.PersistentVolumeClaimRetentionPolicy
	return policy != nil && policy.WhenScaled == appsv1.DeletePersistentVolumeClaimRetentionPolicyType
}

func referenceOf(owner *metav1.OwnerReference) reference {
	return reference{apiVersion: owner.APIVersion, kind: owner.Kind, name: owner.Name, uid: owner.UID}
}
