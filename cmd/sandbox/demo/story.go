// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/utils/clock"

	"roost.dev/roost/cmd/sandbox/console"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/test/simstorage/admin"
	"roost.dev/roost/volumelocality"
)

const (
	// podCount is how many pods each scheduler places, with one claim each.
	podCount = 60
	// recreations is how often all pods are deleted and made again. The first placing decides where the data will be; only
	// the ones after it show whether a scheduler knows.
	recreations = 2

	stockNamespace = "stock"
	roostNamespace = "roost"
)

var errInterrupted = errors.New("interrupted")

// Result says how many steps held.
type Result struct {
	Passed, Failed int
}

// story is the state that steps hand on.
type story struct {
	cluster
	// failure is the death of a program of the sandbox.
	failure func() error
	result  Result
	stock   Tally
	roost   Tally
	// sim makes the storage fail.
	sim *admin.Client
	// volumeDir is where the content of a claim's volume is.
	volumeDir func(ctx context.Context, namespace, claim string) (string, error)
}

// Play plays the story. It ends early where ctx does, and where a program of the sandbox has ended.
func Play(ctx context.Context, running *sandbox.Sandbox, screen *console.Console) Result {
	s := &story{
		cluster: cluster{client: running.Client, screen: screen, failed: running.Failed()},
		failure: running.Err, sim: running.Sim, volumeDir: running.VolumeDir,
	}
	screen.Line("")
	screen.Line("%d StatefulSet pods with one volume each; a volume has 2 replicas, on 2 of %d nodes.", podCount, nodeCount(ctx, s))
	screen.Line("Every node may mount every volume. Who places a pod beside its data?")

	s.part(ctx, "1. The stock scheduler", s.underStock)
	s.part(ctx, "2. Roost", s.underRoost)
	s.part(ctx, "3. Required: data nodes or nothing", s.required)
	s.part(ctx, "4. A pod waits for its data", s.waits)
	s.part(ctx, "5. Preemption among the data nodes", s.preempts)
	s.part(ctx, "6. A node's storage fails", s.storageFails)
	s.part(ctx, "7. A snapshot, with the application frozen", s.snapshot)
	s.part(ctx, "8. A restore into new claims", s.look)
	s.part(ctx, "9. A restore in place, and its rollback", s.inPlace)
	s.part(ctx, "10. Avoid: anywhere but on the data", s.avoid)

	if err := running.Err(); err != nil && s.result.Failed == 0 {
		s.verdict(false, "%v", err)
	}
	return s.result
}

// nodeCount is for the introduction only: a cluster that cannot be listed fails the first step.
func nodeCount(ctx context.Context, s *story) int {
	nodes, _ := s.topologies(ctx)
	return len(nodes)
}

// part plays one part of the story. An error in it is a step that did not hold.
func (s *story) part(ctx context.Context, heading string, play func(context.Context) error) {
	if ctx.Err() != nil || s.failure() != nil {
		return
	}
	s.screen.Heading("%s", heading)
	if err := play(ctx); err != nil {
		s.verdict(false, "%v", s.cause(ctx, err))
	}
}

// cause is what a person has to know: an interruption, or the death of a program, rather than what followed from it.
func (s *story) cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	if failure := s.failure(); failure != nil {
		return failure
	}
	return err
}

// verdict counts a step and shows it.
func (s *story) verdict(held bool, format string, args ...any) {
	if held {
		s.result.Passed++
	} else {
		s.result.Failed++
	}
	s.screen.Verdict(held, fmt.Sprintf(format, args...))
}

func (s *story) underStock(ctx context.Context) error {
	tally, err := s.placeAndRecreate(ctx, stockNamespace, sandbox.StockSchedulerName)
	if err != nil {
		return err
	}
	s.stock = tally
	s.verdict(tally[OnData] < podCount/2, "%d of %d pods on a data node, as chance has it", tally[OnData], podCount)
	return nil
}

func (s *story) underRoost(ctx context.Context) error {
	tally, err := s.placeAndRecreate(ctx, roostNamespace, sandbox.SchedulerName)
	if err != nil {
		return err
	}
	s.roost = tally
	s.verdict(tally[OnData] == podCount, "%d of %d pods on a data node", tally[OnData], podCount)
	s.screen.Line("")
	s.screen.Table(comparison(namedTally{"stock", s.stock}, namedTally{"Roost", s.roost}))
	return nil
}

// placeAndRecreate deploys the pods under a scheduler and makes all of them anew, and returns where they are in the end.
func (s *story) placeAndRecreate(ctx context.Context, namespace, scheduler string) (Tally, error) {
	if err := s.workloadIn(namespace).Deploy(ctx, scheduler, podCount); err != nil {
		return Tally{}, err
	}
	start := clock.RealClock{}.Now()
	if err := s.waitForRunning(ctx, namespace, podCount, nil, "first placing"); err != nil {
		return Tally{}, err
	}
	s.screen.Step("volumes made, pods running", clock.RealClock{}.Since(start))
	for i := range recreations {
		start := clock.RealClock{}.Now()
		if err := s.recreate(ctx, namespace, fmt.Sprintf("re-created, round %d", i+1)); err != nil {
			return Tally{}, err
		}
		s.screen.Step(fmt.Sprintf("all pods deleted and re-created (%d)", i+1), clock.RealClock{}.Since(start))
	}
	return s.tally(ctx, namespace)
}

// avoid asks the same pods to stay away from their data.
func (s *story) avoid(ctx context.Context) error {
	if err := s.setPolicy(ctx, roostNamespace, volumelocality.Avoid); err != nil {
		return err
	}
	start := clock.RealClock{}.Now()
	if err := s.recreate(ctx, roostNamespace, "re-created with Avoid"); err != nil {
		return err
	}
	s.screen.Step("all pods deleted and re-created", clock.RealClock{}.Since(start))
	tally, err := s.tally(ctx, roostNamespace)
	if err != nil {
		return err
	}
	s.verdict(tally[OnData] == 0 && tally.Total() == podCount, "%d of %d pods on a replica node", tally[OnData], podCount)
	return nil
}
