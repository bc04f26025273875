// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/cmd/sandbox/timeline"
	"roost.dev/roost/cmd/sandbox/workload"
	"roost.dev/roost/internal/sandbox"
)

const (
	// promised is how long a failover may take from the fault until the pods run.
	promised = 30 * time.Second
	// whatFailed is what the storage system says of the node.
	whatFailed = "pool sda: I/O error"
)

// storageFails takes the storage of one node away, and gives it back when the pods run elsewhere.
func (s *story) storageFails(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	recorder := timeline.New(timeline.Options{Client: s.client, Clock: clock.RealClock{}, Namespace: roostNamespace})
	if err := recorder.Start(ctx); err != nil {
		return err
	}
	victims, err := s.victims(ctx)
	if err != nil {
		return err
	}
	node := victims[0].Node
	followed, err := s.follow(ctx, recorder, victims)
	if err != nil {
		return err
	}
	if err := s.sim.SetNodeState(ctx, node, storagev1alpha1.StorageOffline, whatFailed); err != nil {
		return err
	}
	// Whatever happens, the next part finds all nodes well.
	defer func() { _ = s.sim.SetNodeState(context.WithoutCancel(ctx), node, storagev1alpha1.StorageOnline, "") }()
	s.screen.Line("  The storage of %s goes Offline, with %d of the pods on it; the node itself is well.", node, len(victims))
	timelines, err := s.waitForSuccessors(ctx, followed)
	s.screen.Table(timelineTable(timelines))
	if err != nil {
		return err
	}
	if err := s.judge(ctx, timelines); err != nil {
		return err
	}
	if err := s.showStorageNode(ctx, node); err != nil {
		return err
	}
	return s.storageReturns(ctx, node)
}

// victims are the pods on the node that is to fail.
func (s *story) victims(ctx context.Context) ([]timeline.Failure, error) {
	pods, err := s.workloadIn(roostNamespace).Pods(ctx)
	if err != nil {
		return nil, err
	}
	others, err := s.workloadIn(stockNamespace).Pods(ctx)
	if err != nil {
		return nil, err
	}
	volumes, err := s.workloadIn(roostNamespace).Volumes(ctx)
	if err != nil {
		return nil, err
	}
	node := nodeToFail(pods, others)
	if node == "" {
		return nil, fmt.Errorf("no node has pods of namespace %s alone", roostNamespace)
	}
	var victims []timeline.Failure
	for i := range pods {
		if pod := &pods[i]; pod.Spec.NodeName == node {
			victims = append(victims, timeline.Failure{
				Pod: pod.Name, UID: pod.UID, Node: node, Volume: volumes[workload.ClaimName(pod)].Name, Provisioner: sandbox.Provisioner,
			})
		}
	}
	return victims, nil
}

// nodeToFail is the node with the most of the pods, among those that have none of the others. The first by name wins.
func nodeToFail(pods, others []corev1.Pod) string {
	count := map[string]int{}
	for i := range pods {
		count[pods[i].Spec.NodeName]++
	}
	delete(count, "")
	for i := range others {
		delete(count, others[i].Spec.NodeName)
	}
	best := ""
	for node, pods := range count {
		if pods > count[best] || pods == count[best] && node < best {
			best = node
		}
	}
	return best
}

// follow records what happens to the victims from when all can be followed. A pod that came back to its node may run a moment
// before its volume is attached to it once more.
func (s *story) follow(ctx context.Context, recorder *timeline.Recorder, victims []timeline.Failure) ([]*timeline.Followed, error) {
	var followed []*timeline.Followed
	var refused error
	err := s.poll(ctx, func(context.Context) (bool, error) {
		followed, refused = follow(recorder, victims)
		return refused == nil, nil
	})
	if err != nil {
		return nil, fmt.Errorf("following the pods: %w", errors.Join(err, refused))
	}
	return followed, nil
}

// follow records what happens to the victims from now on.
func follow(recorder *timeline.Recorder, victims []timeline.Failure) ([]*timeline.Followed, error) {
	now := clock.RealClock{}.Now()
	var followed []*timeline.Followed
	for _, victim := range victims {
		victim.At = now
		f, err := recorder.Follow(victim)
		if err != nil {
			return nil, err
		}
		followed = append(followed, f)
	}
	return followed, nil
}

// waitForSuccessors waits until a pod runs in the place of each. It returns how far they came, also where that fails.
func (s *story) waitForSuccessors(ctx context.Context, followed []*timeline.Followed) ([]timeline.Timeline, error) {
	timelines := make([]timeline.Timeline, len(followed))
	start := clock.RealClock{}.Now()
	err := s.poll(ctx, func(context.Context) (bool, error) {
		running := 0
		for i := range followed {
			timelines[i] = followed[i].Timeline()
			if _, ok := timelines[i].Since(timeline.Running); ok {
				running++
			}
		}
		s.screen.Progress("%.0f s after the fault: %d of %d pods run elsewhere", clock.RealClock{}.Since(start).Seconds(), running, len(followed))
		return running == len(followed), nil
	})
	if err != nil {
		return timelines, fmt.Errorf("waiting for the pods to run elsewhere: %w", err)
	}
	return timelines, nil
}

// timelineTable has a line for each pod, in seconds.
func timelineTable(timelines []timeline.Timeline) [][]string {
	table := [][]string{{"seconds", "fault", "verdict", "eviction", "detach", "bound", "running", "now on"}}
	for i := range timelines {
		t := &timelines[i]
		row := []string{t.Pod}
		for _, moment := range []timeline.Moment{
			timeline.Fault, timeline.Verdict, timeline.Evicted, timeline.Detached, timeline.Bound, timeline.Running,
		} {
			cell := "-"
			if since, ok := t.Since(moment); ok {
				cell = fmt.Sprintf("%.1f", since.Seconds())
			}
			row = append(row, cell)
		}
		table = append(table, append(row, t.NewNode))
	}
	return table
}

// judge says whether the failover was what it should be.
func (s *story) judge(ctx context.Context, timelines []timeline.Timeline) error {
	volumes, err := s.workloadIn(roostNamespace).Volumes(ctx)
	if err != nil {
		return err
	}
	violations, err := s.sim.Violations(ctx)
	if err != nil {
		return err
	}
	var worst time.Duration
	for i := range timelines {
		took, _ := timelines[i].Since(timeline.Running)
		worst = max(worst, took)
	}
	s.verdict(worst < promised && allOnData(timelines, volumes), "%s after the fault they run again, on nodes with their data", seconds(worst))
	s.verdict(len(violations) == 0, "%d times two nodes could write to one volume at once", len(violations))
	return nil
}

// allOnData says whether each new pod is on a node with a copy of its volume, and none where the storage failed.
func allOnData(timelines []timeline.Timeline, volumes map[string]workload.Volume) bool {
	copies := map[string][]string{}
	for _, volume := range volumes {
		copies[volume.Name] = volume.Nodes
	}
	for i := range timelines {
		t := &timelines[i]
		if t.NewNode == t.Node || !slices.Contains(copies[t.Volume], t.NewNode) {
			return false
		}
	}
	return true
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
