// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"roost.dev/roost/cmd/sandbox/timeline"
	"roost.dev/roost/test/simstorage/cluster"
)

const (
	// maxPause is how long the longest pause before a fault is: longer than any period of what watches the nodes' storage.
	maxPause = 6 * time.Second
	// offlineAtOnce is well below the third of the nodes that may fail before Roost moves nothing any more.
	offlineAtOnce = 6
	// deadAtOnce is how many nodes die at once.
	deadAtOnce = 4
	// giveUp is how long a pod may take to run again under Roost.
	giveUp = 3 * time.Minute
)

// scenario is a number of failures of one kind.
type scenario struct {
	name     string
	pods     *group
	fault    fault
	draws    []draw
	inFlight int
	// fencing is who fences.
	fencing cluster.Fencing
	// watched is how long a pod is watched.
	watched time.Duration
	// promised says that the promise is about this kind.
	promised bool
}

// draw is what chance says of a failure.
type draw struct {
	pause  time.Duration
	victim uint64
}

func (b *bench) draws(count int) []draw {
	draws := make([]draw, count)
	for i := range draws {
		draws[i] = draw{pause: time.Duration(b.chance.Int64N(int64(maxPause))), victim: b.chance.Uint64()}
	}
	return draws
}

// underRoost are the kinds of failures that are measured with Roost.
func (b *bench) underRoost(pods *group) []scenario {
	var scenarios []scenario
	for _, s := range []scenario{
		{
			name: "storage offline, node alive", fault: offline{b}, draws: b.draws(b.opts.Offline), inFlight: offlineAtOnce,
			fencing: cluster.FencingAutomatic, promised: true,
		},
		{
			name: "node dead, all its volumes fenced", fault: dead{b}, draws: b.draws(b.opts.Dead), inFlight: deadAtOnce,
			fencing: cluster.FencingAutomatic,
		},
		{
			name: "node dead, another volume not fenced", fault: unproven{dead{b}}, draws: b.draws(b.opts.Unproven), inFlight: deadAtOnce,
			fencing: cluster.FencingManual,
		},
	} {
		if len(s.draws) > 0 {
			s.pods, s.watched = pods, giveUp
			scenarios = append(scenarios, s)
		}
	}
	return scenarios
}

// play causes all failures of a kind and returns what happened. With an error it is what happened until then.
func (b *bench) play(ctx context.Context, s scenario) (Result, error) {
	result := Result{Name: s.name, Watched: s.watched, Promised: s.promised}
	b.heading("%s: %d times, at most %d at once", s.name, len(s.draws), s.inFlight)
	if err := b.box.Sim.SetFencing(ctx, s.fencing); err != nil {
		return result, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(s.inFlight)
	for _, d := range s.draws {
		group.Go(func() error {
			t, err := b.fail(groupCtx, s, d)
			if err != nil {
				return err
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			result.Timelines = append(result.Timelines, t)
			b.screen.Line("  %3d of %d: %s", len(result.Timelines), len(s.draws), story(&t))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return result, err
	}
	return result, b.box.Sim.SetFencing(ctx, cluster.FencingAutomatic)
}

// story tells of a failure in a line.
func story(t *timeline.Timeline) string {
	took, ok := t.Since(timeline.Running)
	if !ok {
		return fmt.Sprintf("%s of %s did not run elsewhere", t.Pod, t.Node)
	}
	return fmt.Sprintf("%s left %s and ran on %s after %.1f s", t.Pod, t.Node, t.NewNode, took.Seconds())
}

// fail causes one failure, watches what happens, and takes the fault back. An error ends the benchmark, and the sandbox with
// it, so that nothing is taken back then.
func (b *bench) fail(ctx context.Context, s scenario, d draw) (timeline.Timeline, error) {
	v, err := b.take(ctx, s.pods, d.victim)
	if err != nil {
		return timeline.Timeline{}, err
	}
	defer b.release(v)
	if err := s.fault.prepare(ctx, v); err != nil {
		return timeline.Timeline{}, err
	}
	if err := b.pause(ctx, d.pause); err != nil {
		return timeline.Timeline{}, err
	}
	followed, err := b.follow(ctx, s.pods.recorder, v.Failure)
	if err != nil {
		return timeline.Timeline{}, err
	}
	if err := s.fault.inject(ctx, v); err != nil {
		return timeline.Timeline{}, fmt.Errorf("causing the fault of node %s: %w", v.Node, err)
	}
	watched, cancel := context.WithTimeout(ctx, s.watched)
	defer cancel()
	t := followed.Wait(watched)
	if err := s.fault.heal(ctx, v); err != nil {
		return t, fmt.Errorf("taking back the fault of node %s: %w", v.Node, err)
	}
	return t, nil
}

// pause waits.
func (b *bench) pause(ctx context.Context, duration time.Duration) error {
	timer := b.clock.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// follow records what happens from now on. Kwok calls a pod Running before its volume is attached, which it waits for.
func (b *bench) follow(ctx context.Context, recorder *timeline.Recorder, failure timeline.Failure) (*timeline.Followed, error) {
	var followed *timeline.Followed
	var refused error
	err := b.poll(ctx, patience, func(context.Context) (bool, error) {
		failure.At = b.clock.Now()
		followed, refused = recorder.Follow(failure)
		return refused == nil, nil
	})
	if err != nil {
		return nil, errors.Join(err, refused)
	}
	return followed, nil
}
