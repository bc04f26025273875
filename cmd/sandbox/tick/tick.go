// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package tick

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/cmd/sandbox/console"
	"roost.dev/roost/internal/sandbox"
)

const (
	// sampleEvery is how often the manager is asked how many claims are being cut.
	sampleEvery = 500 * time.Millisecond
	// listEvery is how often the snapshots are listed, which is work for the API server.
	listEvery = 10 * time.Second
	// before is how long before the first snapshot is due the counting begins.
	before = 5 * time.Second
	// restFor is how long the manager must ask for nothing to be at rest.
	restFor = 10 * time.Second
	// longest is how long all snapshots may take.
	longest = 2 * time.Hour
)

// bench is a benchmark that runs.
type bench struct {
	opts    Options
	box     *sandbox.Sandbox
	screen  *console.Console
	clock   clock.Clock
	counter *counter
	metrics string
}

// Run measures. An error is that something could not be measured, and there is no report then.
func Run(ctx context.Context, box *sandbox.Sandbox, screen *console.Console, opts Options) (*Report, error) {
	b := &bench{opts: opts, box: box, screen: screen, clock: clock.RealClock{}, counter: &counter{calls: map[call]int{}}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-box.Failed():
			cancel()
		case <-ctx.Done():
		}
	}()
	report, err := b.measure(ctx)
	if failure := box.Err(); failure != nil {
		return nil, failure
	}
	return report, err
}

func (b *bench) measure(ctx context.Context) (*Report, error) {
	b.screen.Heading("Filling the cluster")
	if err := b.step("claims are bound", func() error { return b.claims(ctx) }); err != nil {
		return nil, err
	}
	b.screen.Heading("The controller manager")
	if err := b.step("started", func() error { return b.startManager(ctx) }); err != nil {
		return nil, err
	}
	at := b.opts.tickAfter(b.clock.Now())
	var due map[types.NamespacedName]time.Time
	err := b.step("schedules have a next run", func() (err error) {
		due, err = b.schedules(ctx, at)
		return err
	})
	if err != nil {
		return nil, err
	}
	if b.clock.Now().After(at.Add(-before)) {
		return nil, fmt.Errorf("the schedules have a next run at %s, too late for that of %s", b.clock.Now().Format(time.RFC3339), at.Format(time.RFC3339))
	}
	b.screen.Progress("all are due at %s", at.Format(time.TimeOnly))
	if err := pause(ctx, b.clock, at.Add(-before).Sub(b.clock.Now())); err != nil {
		return nil, err
	}
	return b.watch(ctx, due)
}

func (b *bench) startManager(ctx context.Context) error {
	manager, err := b.box.StartManager(ctx, sandbox.ManagerOptions{Config: b.opts.config(), Through: b.counter.through(ctx)})
	if err != nil {
		return err
	}
	b.metrics = manager.MetricsURL()
	return nil
}

// watch follows the snapshots until all are over and the manager is at rest.
func (b *bench) watch(ctx context.Context, due map[types.NamespacedName]time.Time) (*Report, error) {
	b.counter.reset()
	began := b.clock.Now()
	first, err := read(ctx, b.metrics)
	if err != nil {
		return nil, err
	}
	most := &peaks{}
	var snapshots []snapshotv1alpha1.ApplicationSnapshot
	err = b.step("snapshots are over", func() (err error) {
		snapshots, err = b.untilOver(ctx, most)
		return err
	})
	if err != nil {
		return nil, err
	}
	var last reading
	var quiet time.Time
	err = b.step("manager is at rest", func() (err error) {
		last, quiet, err = b.untilQuiet(ctx, most)
		return err
	})
	if err != nil {
		return nil, err
	}
	calls, open := b.counter.count()
	return &Report{
		Options: b.opts, Delays: delaysOf(snapshots, due), Lasted: quiet.Sub(began) - before,
		CPU: last.cpu - first.cpu, Cutting: most.cutting, Waiting: most.waiting, Resident: most.resident, Open: open, calls: calls,
	}, nil
}

// untilOver samples the metrics until every snapshot is ready or has failed.
func (b *bench) untilOver(ctx context.Context, most *peaks) ([]snapshotv1alpha1.ApplicationSnapshot, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, longest, errors.New("the snapshots take too long"))
	defer cancel()
	var listed time.Time
	over := 0
	for {
		now, err := b.sample(ctx, most)
		if err != nil {
			return nil, fmt.Errorf("waiting for %d snapshots, of which %d are over: %w", b.opts.Claims, over, errors.Join(err, context.Cause(ctx)))
		}
		if b.clock.Since(listed) < listEvery {
			continue
		}
		var list snapshotv1alpha1.ApplicationSnapshotList
		if err := b.box.Client.List(ctx, &list); err != nil {
			return nil, fmt.Errorf("listing snapshots: %w", err)
		}
		listed, over = b.clock.Now(), overOf(list.Items)
		b.screen.Progress("%d of %d snapshots are over; %d were made, %d wait, %d claims are being cut; %d requests",
			over, b.opts.Claims, len(list.Items), now.waiting, now.cutting, b.counter.total())
		if over == b.opts.Claims {
			return list.Items, nil
		}
	}
}

// untilQuiet returns what the metrics said, and when the manager asked for something last.
func (b *bench) untilQuiet(ctx context.Context, most *peaks) (now reading, quiet time.Time, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the manager does not come to rest"))
	defer cancel()
	asked := -1
	for {
		if now, err = b.sample(ctx, most); err != nil {
			return now, quiet, errors.Join(err, context.Cause(ctx))
		}
		if total := b.counter.total(); total != asked {
			asked, quiet = total, b.clock.Now()
		}
		if b.clock.Since(quiet) >= restFor {
			return now, quiet, nil
		}
	}
}

// sample waits a little and reads the metrics.
func (b *bench) sample(ctx context.Context, most *peaks) (reading, error) {
	if err := pause(ctx, b.clock, sampleEvery); err != nil {
		return reading{}, err
	}
	now, err := read(ctx, b.metrics)
	most.take(now)
	return now, err
}

// peaks are the highest values of the metrics.
type peaks struct {
	cutting, waiting int
	resident         int64
}

func (p *peaks) take(now reading) {
	p.cutting, p.waiting, p.resident = max(p.cutting, now.cutting), max(p.waiting, now.waiting), max(p.resident, now.resident)
}

// step does something and tells how long it took.
func (b *bench) step(name string, do func() error) error {
	started := b.clock.Now()
	if err := do(); err != nil {
		return err
	}
	b.screen.Step(name, b.clock.Since(started))
	return nil
}

func pause(ctx context.Context, c clock.Clock, d time.Duration) error {
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C():
		return nil
	}
}
