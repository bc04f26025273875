// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"
	"fmt"
	"math"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/defaultpreemption"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/preemption"
	schedulerutil "k8s.io/kubernetes/pkg/scheduler/util"

	"roost.dev/roost/internal/podvolumes"
	"roost.dev/roost/volumelocality"
)

// evictor is the in-tree preemption, for pods that are held to their data nodes, with one rule more: of the pods of one
// priority, those that run next to their own data are kept.
type evictor struct {
	*defaultpreemption.DefaultPreemption
	isNext func(*corev1.Pod) bool

	// next is what isNext said of the pods that this preemption looked at. Nodes are looked at in parallel.
	mu   sync.Mutex
	next map[types.UID]bool
}

var _ preemption.Interface = (*evictor)(nil)

// newEvictor returns an evictor. isNext says that a pod runs next to its own data.
func newEvictor(ctx context.Context, handle fwk.Handle, isNext func(*corev1.Pod) bool) (*evictor, error) {
	// The defaults of kube-scheduler. There are too few data nodes for them to matter.
	args := &schedulerconfig.DefaultPreemptionArgs{MinCandidateNodesPercentage: 10, MinCandidateNodesAbsolute: 100}
	inTree, err := defaultpreemption.New(ctx, args, handle, feature.NewSchedulerFeaturesFromGates(utilfeature.DefaultFeatureGate))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", defaultpreemption.Name, err)
	}
	e := &evictor{DefaultPreemption: inTree, isNext: isNext}
	e.reset()
	inTree.Evaluator = preemption.NewEvaluator(Name, handle, e, inTree.Executor)
	inTree.MoreImportantPod = e.moreImportant
	return e, nil
}

// preempt makes room on one of the nodes whose status says that it may help.
func (e *evictor) preempt(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, statuses fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	e.reset()
	return e.PostFilter(ctx, state, pod, statuses)
}

func (e *evictor) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.next = map[types.UID]bool{}
}

// moreImportant says that the first pod is evicted only after the second.
func (e *evictor) moreImportant(a, b *corev1.Pod) bool {
	if corev1helpers.PodPriority(a) == corev1helpers.PodPriority(b) {
		if aIsNext := e.keeps(a); aIsNext != e.keeps(b) {
			return aIsNext
		}
	}
	return schedulerutil.MoreImportantPod(a, b)
}

// keeps says that the pod runs next to its data. It asks once a preemption.
func (e *evictor) keeps(pod *corev1.Pod) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	isNext, known := e.next[pod.UID]
	if !known {
		isNext = e.isNext(pod)
		e.next[pod.UID] = isNext
	}
	return isNext
}

// OrderedScoreFuncs choose the node as the in-tree plugin does, with two criteria more. Its sum of priorities counts pods
// rather than priorities, so that one pod next to its data would be evicted to keep two of its priority that have none:
// of the victims of the highest priority, those next to their data count before that sum.
func (e *evictor) OrderedScoreFuncs(_ context.Context, victims map[string]*extenderv1.Victims) []func(node string) int64 {
	highest := func(node string) int32 { return corev1helpers.PodPriority(victims[node].Pods[0]) }
	return []func(string) int64{
		func(node string) int64 { return -victims[node].NumPDBViolations },
		func(node string) int64 { return -int64(highest(node)) },
		func(node string) int64 { return -e.countNext(victims[node].Pods, highest(node)) },
		func(node string) int64 { return -sumOfPriorities(victims[node].Pods) },
		func(node string) int64 { return -e.countNext(victims[node].Pods, math.MinInt32) },
		func(node string) int64 { return -int64(len(victims[node].Pods)) },
		func(node string) int64 {
			if start := schedulerutil.GetEarliestPodStartTime(victims[node]); start != nil {
				return start.UnixNano()
			}
			return math.MinInt64
		},
	}
}

// countNext counts the pods of at least the priority that run next to their data.
func (e *evictor) countNext(pods []*corev1.Pod, priority int32) int64 {
	var count int64
	for _, pod := range pods {
		if corev1helpers.PodPriority(pod) >= priority && e.keeps(pod) {
			count++
		}
	}
	return count
}

// sumOfPriorities is the in-tree plugin's: each priority is made positive, so that a few pods of a negative one are worth
// less than many.
func sumOfPriorities(pods []*corev1.Pod) int64 {
	var sum int64
	for _, pod := range pods {
		sum += int64(corev1helpers.PodPriority(pod)) + math.MaxInt32 + 1
	}
	return sum
}

// runsNextToItsData says that the pod's node has an in-sync replica of each volume that it wants to be near to, as far as
// is known.
func (pl *VolumeLocality) runsNextToItsData(pod *corev1.Pod) bool {
	if pod.Spec.NodeName == "" || !podvolumes.HasClaims(pod) {
		return false
	}
	resolved, err := pl.resolver.Resolve(pod)
	if err != nil {
		return false
	}
	near := false
	for _, v := range pl.locate(pod, resolved).volumes {
		if !v.Known || v.Policy == volumelocality.Avoid {
			continue
		}
		if !isInSync(v.Location, pod.Spec.NodeName) {
			return false
		}
		near = true
	}
	return near
}

// PreEnqueue keeps a pod out of the queue while its victims are being evicted, as the in-tree plugin does for its own.
func (pl *VolumeLocality) PreEnqueue(ctx context.Context, pod *corev1.Pod) *fwk.Status {
	return pl.evictor.PreEnqueue(ctx, pod)
}
