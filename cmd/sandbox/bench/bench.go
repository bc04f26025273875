// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/cmd/sandbox/console"
	"roost.dev/roost/cmd/sandbox/timeline"
	"roost.dev/roost/cmd/sandbox/workload"
	"roost.dev/roost/internal/sandbox"
)

const (
	roostNamespace = "bench"
	stockNamespace = "alone"
	roostPods      = 60
	stockPods      = 30

	pollEvery = 250 * time.Millisecond
	// patience is how long something may take that usually takes seconds, or a minute for a node that comes back.
	patience = 5 * time.Minute
)

// bench is a benchmark that runs.
type bench struct {
	opts   Options
	box    *sandbox.Sandbox
	clock  clock.Clock
	chance *rand.Rand

	// mu is for the screen and the nodes.
	mu     sync.Mutex
	screen *console.Console
	// taken are the nodes that a failure concerns at the moment.
	taken sets.Set[string]
}

// Run measures. It needs a sandbox with Nodes that nobody else uses. An error is that something could not be measured; the
// report then has what was.
func Run(ctx context.Context, box *sandbox.Sandbox, screen *console.Console, opts Options) (*Report, error) {
	b := newBench(opts)
	b.box, b.screen = box, screen
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-box.Failed():
			cancel()
		case <-ctx.Done():
		}
	}()
	report := &Report{}
	err := b.measure(ctx, report)
	if failure := box.Err(); failure != nil {
		err = failure
	}
	violations, violationsErr := box.Sim.Violations(context.WithoutCancel(ctx))
	report.Violations = len(violations)
	return report, errors.Join(err, violationsErr)
}

func newBench(opts Options) *bench {
	return &bench{opts: opts, clock: clock.RealClock{}, taken: sets.New[string](), chance: rand.New(rand.NewPCG(opts.Seed, 0))}
}

// measure goes through everything, one after the other, and fills the report.
func (b *bench) measure(ctx context.Context, report *Report) error {
	b.heading("Preparing: %d pods under Roost; seed %d", roostPods, b.opts.Seed)
	pods, err := b.deploy(ctx, roostNamespace, sandbox.SchedulerName, roostPods)
	if err != nil {
		return err
	}
	if err := b.settle(ctx, pods); err != nil {
		return err
	}
	b.heading("The simulated kubelets alone")
	if report.Kwok, err = b.kubelets(ctx, pods); err != nil {
		return err
	}
	for _, s := range b.underRoost(pods) {
		result, err := b.play(ctx, s)
		report.Results = append(report.Results, result)
		if err != nil {
			return err
		}
		if err := b.settle(ctx, pods); err != nil {
			return err
		}
	}
	if b.opts.Alone == 0 {
		return nil
	}
	results, err := b.alone(ctx)
	report.Results = append(report.Results, results...)
	return err
}

// group are the pods of one namespace.
type group struct {
	workload.Workload
	recorder *timeline.Recorder
	size     int
}

// deploy makes the pods, and watches them until ctx ends.
func (b *bench) deploy(ctx context.Context, namespace, scheduler string, size int) (*group, error) {
	g := &group{Workload: workload.Workload{Client: b.box.Client, Namespace: namespace}, size: size}
	if err := g.Deploy(ctx, scheduler, int32(size)); err != nil {
		return nil, err
	}
	g.recorder = timeline.New(timeline.Options{Client: b.box.Client, Clock: b.clock, Namespace: namespace})
	return g, g.recorder.Start(ctx)
}

// settle waits until all pods run and all nodes are well.
func (b *bench) settle(ctx context.Context, g *group) error {
	var running, well int
	err := b.poll(ctx, patience, func(ctx context.Context) (bool, error) {
		pods, err := g.Pods(ctx)
		if err != nil {
			return false, err
		}
		running = 0
		for i := range pods {
			if pods[i].Status.Phase == corev1.PodRunning && pods[i].DeletionTimestamp == nil {
				running++
			}
		}
		nodes, err := b.wellNodes(ctx, g)
		well = len(nodes)
		b.progress("%d of %d pods run, %d of %d nodes are well", running, g.size, well, Nodes().Count)
		return running == g.size && well == Nodes().Count, err
	})
	if err != nil {
		return fmt.Errorf("waiting until %d of %d pods run and %d of %d nodes are well: %w", running, g.size, well, Nodes().Count, err)
	}
	return nil
}

// wellNodes are those that are Ready, have no taint, and whose storage is Healthy.
func (b *bench) wellNodes(ctx context.Context, g *group) (sets.Set[string], error) {
	var nodes corev1.NodeList
	if err := b.box.Client.List(ctx, &nodes); err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	well := sets.New[string]()
	for i := range nodes.Items {
		node := &nodes.Items[i]
		if takesPods(node) && g.recorder.State(sandbox.Provisioner, node.Name) == storagev1alpha1.HealthHealthy {
			well.Insert(node.Name)
		}
	}
	return well, nil
}

func takesPods(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue && len(node.Spec.Taints) == 0
		}
	}
	return false
}

func (b *bench) poll(ctx context.Context, timeout time.Duration, condition wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextTimeout(ctx, pollEvery, timeout, true, condition)
}

func (b *bench) heading(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.screen.Heading(format, args...)
}

func (b *bench) progress(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.screen.Progress(format, args...)
}
