// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
)

// say is what an object says by the annotation.
type say struct {
	object string
	value  managerv1alpha1.Default
}

// checkAnnotation asks the pod. A pod that is silent leaves it to its volumes, each of which speaks by its claim, or else by
// the claim's StorageClass: one of them that is Disabled, or that has a value that cannot be understood, keeps the pod. Where
// all are silent the default holds.
func checkAnnotation(f *facts) Refusal {
	says := f.says()
	for _, s := range says {
		if s.value != managerv1alpha1.Enabled && s.value != managerv1alpha1.Disabled {
			return refuse(BadAnnotation, "annotation %s of %s is %.64q; allowed are %s and %s",
				Annotation, s.object, s.value, managerv1alpha1.Enabled, managerv1alpha1.Disabled)
		}
	}
	for _, s := range says {
		if s.value == managerv1alpha1.Disabled {
			return refuse(FailoverDisabled, "annotation %s of %s is %s", Annotation, s.object, s.value)
		}
	}
	if len(says) == 0 && f.byDefault == managerv1alpha1.Disabled {
		return refuse(FailoverDisabled, "pods are not moved by default (storageHealth.failover.default); annotate the pod, its claim or its StorageClass with %s: %s to have it moved",
			Annotation, managerv1alpha1.Enabled)
	}
	return Refusal{}
}

// says are those whose word counts, in the pod's order.
func (f *facts) says() []say {
	if value, ok := f.pod.Annotations[Annotation]; ok {
		return []say{{object: "the pod", value: managerv1alpha1.Default(value)}}
	}
	var says []say
	for i := range f.volumes {
		v := &f.volumes[i]
		if v.Claim == nil {
			continue
		}
		if value, ok := annotated(v.Claim); ok {
			says = append(says, say{object: "claim " + v.ClaimName, value: value})
			continue
		}
		if v.Class == nil {
			continue
		}
		if value, ok := annotated(v.Class); ok {
			says = append(says, say{object: "StorageClass " + v.Class.Name, value: value})
		}
	}
	return says
}

func annotated(object metav1.Object) (managerv1alpha1.Default, bool) {
	value, ok := object.GetAnnotations()[Annotation]
	return managerv1alpha1.Default(value), ok
}
