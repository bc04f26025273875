// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/apis/config"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/podvolumes"
	"roost.dev/roost/volumelocality"
	"roost.dev/roost/volumelocality/pools"
)

// locate asks the drivers where the bound volumes are, and where the sources are of those that are yet to be made. A volume
// that begins empty has no data, and whether it keeps the pod from running is for the in-tree plugins to say. A volume of a
// kind that no driver can know (NFS, say) is nowhere near or far, and does not count.
func (pl *VolumeLocality) locate(pod *corev1.Pod, resolved []podvolumes.Volume) *cycleState {
	s := &cycleState{since: pl.waiting.now(), volumes: make([]volumelocality.Volume, 0, len(resolved)), origins: make([]origin, 0, len(resolved))}
	for i := range resolved {
		r := &resolved[i]
		id := r.ID
		source, isMade := pl.sourceOf(r)
		if isMade {
			id = source
		}
		if id == (drivers.VolumeID{}) {
			continue
		}
		policy, bad := pl.policyOf(pod, r)
		if bad != nil {
			s.complaints = append(s.complaints, bad)
		}
		if policy == volumelocality.Ignored {
			continue
		}
		answer := pl.registry.Locate(id)
		v := volumelocality.Volume{
			ID: id, Policy: policy, Known: answer.Knowledge == drivers.Known, Location: answer.Location, Share: pl.shareOf(r),
		}
		if isMade && !asSource(&v) {
			continue
		}
		s.volumes = append(s.volumes, v)
		pl.addWait(s, pod, r)
		s.origins = append(s.origins, origin{claim: r.ClaimName, driver: answer.Driver, isSource: isMade})
	}
	return s
}

// asSource has the volume count for the one that will be made from it, and says whether it does. That one is made where the pod
// goes: Required cannot ask for data that is not there yet, to Avoid a node says nothing about the volume that it was copied
// from, and neither the source's attachments nor the nodes that it is pinned to bind the copy.
func asSource(v *volumelocality.Volume) bool {
	if v.Policy == volumelocality.Required {
		v.Policy = volumelocality.Preferred
	}
	v.Location.AttachedTo, v.Location.Pinned = nil, false
	return v.Known && v.Policy == volumelocality.Preferred
}

func (pl *VolumeLocality) policyOf(pod *corev1.Pod, r *podvolumes.Volume) (volumelocality.Policy, *volumelocality.BadPolicyError) {
	sources := annotatedOf(pod, r)
	return volumelocality.PolicyOf(volumelocality.Policy(pl.args.DefaultPolicy), sources[:]...)
}

// annotatedOf are the objects that say how a pod's volume is to be placed, in their order of precedence.
func annotatedOf(pod *corev1.Pod, r *podvolumes.Volume) [3]volumelocality.Annotated {
	sources := [3]volumelocality.Annotated{
		{Kind: "Pod", Name: pod.Name, Annotations: pod.Annotations},
		{Kind: "PersistentVolumeClaim", Name: r.ClaimName, Annotations: r.Claim.Annotations},
	}
	if r.Class != nil {
		sources[2] = volumelocality.Annotated{Kind: "StorageClass", Name: r.Class.Name, Annotations: r.Class.Annotations}
	}
	return sources
}

// shareOf is a volume's share in the mean score. Capacities count in MiB, so that sums of scores cannot overflow.
func (pl *VolumeLocality) shareOf(r *podvolumes.Volume) int64 {
	switch {
	case pl.args.VolumeWeighting != config.VolumeWeightingCapacity:
		return 1
	case r.PV == nil:
		return max(1, pools.BytesOf(r.Claim)>>20)
	default:
		return max(1, r.PV.Spec.Capacity.Storage().Value()>>20)
	}
}
