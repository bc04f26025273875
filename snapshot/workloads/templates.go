// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// followTemplates adds the workloads whose pods would use the claims, whether there are pods or not.
func (f *finder) followTemplates(ctx context.Context) error {
	sets := &appsv1.StatefulSetList{}
	if err := f.client.List(ctx, sets, client.InNamespace(f.namespace)); err != nil {
		return fmt.Errorf("listing StatefulSets of %s: %w", f.namespace, err)
	}
	for i := range sets.Items {
		set := &sets.Items[i]
		if !f.mounts(&set.Spec.Template) && !f.makes(set) {
			continue
		}
		if err := f.follow(ctx, named(set, "StatefulSet")); err != nil {
			return err
		}
	}
	deployments := &appsv1.DeploymentList{}
	if err := f.client.List(ctx, deployments, client.InNamespace(f.namespace)); err != nil {
		return fmt.Errorf("listing Deployments of %s: %w", f.namespace, err)
	}
	for i := range deployments.Items {
		if !f.mounts(&deployments.Items[i].Spec.Template) {
			continue
		}
		if err := f.follow(ctx, named(&deployments.Items[i], "Deployment")); err != nil {
			return err
		}
	}
	return f.followReplicaSets(ctx)
}

// followReplicaSets leaves out those that somebody controls: the old ones of a Deployment have no replicas and get none.
func (f *finder) followReplicaSets(ctx context.Context) error {
	sets := &appsv1.ReplicaSetList{}
	if err := f.client.List(ctx, sets, client.InNamespace(f.namespace)); err != nil {
		return fmt.Errorf("listing ReplicaSets of %s: %w", f.namespace, err)
	}
	for i := range sets.Items {
		set := &sets.Items[i]
		if metav1.GetControllerOfNoCopy(set) != nil || !f.mounts(&set.Spec.Template) {
			continue
		}
		if err := f.follow(ctx, named(set, "ReplicaSet")); err != nil {
			return err
		}
	}
	return nil
}

func named(object client.Object, kind string) reference {
	return reference{apiVersion: appsv1.SchemeGroupVersion.String(), kind: kind, name: object.GetName(), uid: object.GetUID()}
}

func (f *finder) mounts(template *corev1.PodTemplateSpec) bool {
	return slices.ContainsFunc(template.Spec.Volumes, func(volume corev1.Volume) bool {
		return volume.PersistentVolumeClaim != nil && slices.Contains(f.claims, volume.PersistentVolumeClaim.ClaimName)
	})
}

// makes says whether one of the claims is TEMPLATE-STATEFULSET-ORDINAL of a pod that the set has. One that was left behind when
// the set was scaled down is not used. A set that has no pods may get any.
func (f *finder) makes(set *appsv1.StatefulSet) bool {
	first, count := 0, 1
	if set.Spec.Ordinals != nil {
		first = int(set.Spec.Ordinals.Start)
	}
	if set.Spec.Replicas != nil {
		count = int(*set.Spec.Replicas)
	}
	for _, claim := range f.claims {
		for _, template := range set.Spec.VolumeClaimTemplates {
			ordinal, ok := ordinalOf(claim, template.Name+"-"+set.Name+"-")
			if ok && (count == 0 || ordinal >= first && ordinal < first+count) {
				return true
			}
		}
	}
	return false
}

func ordinalOf(claim, prefix string) (int, bool) {
	digits, ok := strings.CutPrefix(claim, prefix)
	if !ok {
		return 0, false
	}
	ordinal, err := strconv.Atoi(digits)
	return ordinal, err == nil && strconv.Itoa(ordinal) == digits
}
