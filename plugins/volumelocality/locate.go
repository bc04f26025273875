// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/apis/config"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/podvolumes"
	"roost.dev/roost/volumelocality"
)

// locate asks the drivers where the bound volumes are. Those that are not bound have no data yet, and whether they keep
// the pod from running is for the in-tree plugins to say. A volume of a kind that no driver can know (NFS, say) is nowhere
// near or far, and does not count.
func (pl *VolumeLocality) locate(pod *corev1.Pod, resolved []podvolumes.Volume) *cycleState {
	s := &cycleState{since: pl.waiting.now(), volumes: make([]volumelocality.Volume, 0, len(resolved)), origins: make([]origin, 0, len(resolved))}
	for i := range resolved {
		r := &resolved[i]
		if r.Status != podvolumes.Bound || r.ID == (drivers.VolumeID{}) {
			continue
		}
		policy, bad := pl.policyOf(pod, r)
		if bad != nil {
			s.complaints = append(s.complaints, bad)
		}
		if policy == volumelocality.Ignored {
			continue
		}
		answer := pl.registry.Locate(r.ID)
		s.volumes = append(s.volumes, volumelocality.Volume{
			ID: r.ID, Policy: policy, Known: answer.Knowledge == drivers.Known, Location: answer.Location, Share: pl.shareOf(r.PV),
		})
		pl.addWait(s, pod, r)
		s.origins = append(s.origins, origin{claim: r.ClaimName, driver: answer.Driver})
	}
	return s
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
func (pl *VolumeLocality) shareOf(pv *corev1.PersistentVolume) int64 {
	if pl.args.VolumeWeighting != config.VolumeWeightingCapacity {
		return 1
	}
	return max(1, pv.Spec.Capacity.Storage().Value()>>20)
}
