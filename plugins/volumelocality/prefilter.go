// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"
	"hash/fnv"
	"iter"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"roost.dev/roost/apis/config"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/podvolumes"
	"roost.dev/roost/volumelocality"
)

const (
	// ErrReasonNotKnown is used where the storage system does not say where a Required volume is.
	ErrReasonNotKnown = "the storage system does not say, or has not said for too long, where a volume is whose locality is Required"
	// ErrReasonNoDataNode is used where no node may run the pod.
	ErrReasonNoDataNode = "no node has an in-sync replica of every volume whose locality is Required"
	// ErrReasonNoSuchNode is used where the storage system calls the nodes by other names than Kubernetes does.
	ErrReasonNoSuchNode = ErrReasonNoDataNode + ": replicas are on nodes that do not exist in the cluster"
)

// PreFilter resolves the pod's volumes and narrows the nodes in play to those that the pod is to try now.
func (pl *VolumeLocality) PreFilter(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, nodes []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	if !podvolumes.HasClaims(pod) {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	resolved, err := pl.resolver.Resolve(pod)
	if err != nil {
		return nil, fwk.AsStatus(err)
	}
	s := &cycleState{}
	state.Write(stateKey, s)
	volumes := pl.locate(pod, resolved, s)
	if isRequiredUnknown(volumes) {
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrReasonNotKnown)
	}
	s.plan = volumelocality.NewPlan(volumes, pl.tiers, pl.cluster())
	if s.plan == nil {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	s.attempt = pl.attempt(ctx, pod, s.plan, nodes)
	if s.attempt.All {
		return nil, nil
	}
	if len(s.attempt.Nodes) == 0 {
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, whyNoNode(s.plan))
	}
	klog.FromContext(ctx).V(4).Info("Narrowed the nodes in play", "level", s.attempt.Level, "nodes", len(s.attempt.Nodes))
	return &fwk.PreFilterResult{NodeNames: sets.New(s.attempt.Nodes...)}, nil
}

// PreFilterExtensions is nil: pods that come and go in a dry run of preemption do not move data.
func (pl *VolumeLocality) PreFilterExtensions() fwk.PreFilterExtensions {
	return nil
}

// locate asks the drivers where the bound volumes are. Those that are not bound have no data yet, and whether they keep
// the pod from running is for the in-tree plugins to say. A volume of a kind that no driver can know (NFS, say) is nowhere
// near or far, and does not count.
func (pl *VolumeLocality) locate(pod *corev1.Pod, resolved []podvolumes.Volume, s *cycleState) []volumelocality.Volume {
	volumes := make([]volumelocality.Volume, 0, len(resolved))
	for i := range resolved {
		r := &resolved[i]
		if r.Status != podvolumes.Bound || r.ID == (drivers.VolumeID{}) {
			continue
		}
		policy, bad := pl.policyOf(pod, r)
		if bad != nil {
			s.badPolicies = append(s.badPolicies, bad)
		}
		if policy == volumelocality.Ignored {
			continue
		}
		answer := pl.registry.Locate(r.ID)
		volumes = append(volumes, volumelocality.Volume{
			ID: r.ID, Policy: policy, Known: answer.Knowledge == drivers.Known, Location: answer.Location, Share: pl.shareOf(r.PV),
		})
	}
	return volumes
}

func (pl *VolumeLocality) policyOf(pod *corev1.Pod, r *podvolumes.Volume) (volumelocality.Policy, *volumelocality.BadPolicyError) {
	sources := [3]volumelocality.Annotated{
		{Kind: "Pod", Name: pod.Name, Annotations: pod.Annotations},
		{Kind: "PersistentVolumeClaim", Name: r.ClaimName, Annotations: r.Claim.Annotations},
	}
	if r.Class != nil {
		sources[2] = volumelocality.Annotated{Kind: "StorageClass", Name: r.Class.Name, Annotations: r.Class.Annotations}
	}
	return volumelocality.PolicyOf(volumelocality.Policy(pl.args.DefaultPolicy), sources[:]...)
}

// shareOf is a volume's share in the mean score. Capacities count in MiB, so that sums of scores cannot overflow.
func (pl *VolumeLocality) shareOf(pv *corev1.PersistentVolume) int64 {
	if pl.args.VolumeWeighting != config.VolumeWeightingCapacity {
		return 1
	}
	return max(1, pv.Spec.Capacity.Storage().Value()>>20)
}

func isRequiredUnknown(volumes []volumelocality.Volume) bool {
	for i := range volumes {
		if volumes[i].Policy == volumelocality.Required && !volumes[i].Known {
			return true
		}
	}
	return false
}

func (pl *VolumeLocality) attempt(ctx context.Context, pod *corev1.Pod, plan *volumelocality.Plan, nodes []fwk.NodeInfo) volumelocality.Attempt {
	if !pl.narrows(ctx) {
		required, isRequired := plan.RequiredNodes()
		return volumelocality.Attempt{Level: volumelocality.LevelAll, All: !isRequired, Nodes: required}
	}
	return plan.NodesAt(pl.levels.of(pod.UID), seedOf(pod.UID), eachNode(nodes))
}

func whyNoNode(plan *volumelocality.Plan) string {
	if plan.MissingNodes() > 0 {
		return ErrReasonNoSuchNode
	}
	return ErrReasonNoDataNode
}

// seedOf spreads pods over tiers that have more nodes than an attempt looks at.
func seedOf(uid types.UID) uint64 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(uid))
	return hash.Sum64()
}

func eachNode(infos []fwk.NodeInfo) iter.Seq[volumelocality.Node] {
	return func(yield func(volumelocality.Node) bool) {
		for _, info := range infos {
			if !yield(nodeOf(info)) {
				return
			}
		}
	}
}
