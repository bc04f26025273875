// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

const (
	// giveUpAfter is how long thawing is tried beyond the deadline, when the timers should have thawed, or from when it began
	// where that was later.
	giveUpAfter = 2 * time.Minute

	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 5 * time.Second

	// saveLimit is for one write of the journal: an API server that hangs must not keep a thaw from running.
	saveLimit = 5 * time.Second

	// A manager that is told to end gives the lead to its successor within 2 seconds. These three are what is left of it.
	hastyAnnounce = 300 * time.Millisecond
	hastyRound    = 1200 * time.Millisecond
	hastySave     = 400 * time.Millisecond

	thawPrefix = "thaw: "
)

// Thaw thaws every pod of the journal where a freeze was tried, hook by hook in reverse order, again and again until it
// succeeds or two minutes have passed since the deadline. It ends in state Thawed, or in NotThawed, which is no error: the
// pods say why, and a person must look. A thaw that is not the one of its hook in the spec is not run. An error is that the journal could not be written, or that the context ended before
// all was thawed: thaw again, from the status as it is then. Where nothing needs a thaw it does nothing.
//
// A context that ends does not keep it from trying each pod once more, for 2 seconds in all: what is left is the successor's
// and the timers'. Nor does a journal that cannot be written, whatever the reason: a thaw is always safe.
func (r *Runner) Thaw(ctx context.Context, j *Journal) error {
	if !NeedsThaw(&j.Object.Status) {
		return nil
	}
	defer func() { r.release(j.Object.Status.Freeze) }()
	r.announce(ctx, j)
	t := r.newThaw(ctx, j)
	interrupted := t.untilDone(ctx)
	if !interrupted {
		t.conclude()
	}
	if err := r.save(ctx, j, hastySave); err != nil {
		return fmt.Errorf("%d pods are left to thaw, which could not be written down: %w", len(t.pending), err)
	}
	if interrupted {
		return fmt.Errorf("thawing was interrupted with %d pods left: %w", len(t.pending), context.Cause(ctx))
	}
	t.observe()
	return nil
}

// announce saves that thawing begins, and when, before it does. A cut after that is not of something frozen.
func (r *Runner) announce(ctx context.Context, j *Journal) {
	freeze := j.Object.Status.Freeze
	if freeze.ThawTime == nil {
		now := metav1.NewMicroTime(r.clock.Now())
		freeze.ThawTime = &now
	}
	freeze.State = snapshotv1alpha1.Thawing
	if !slices.ContainsFunc(freeze.Pods, hasToRun) {
		return
	}
	if err := r.save(ctx, j, hastyAnnounce); err != nil {
		klog.FromContext(ctx).Error(err, "Thawing although that could not be written down", "snapshot", klog.KObj(j.Object))
	}
}

// save writes the journal even when the context ends, and then in haste.
func (r *Runner) save(ctx context.Context, j *Journal, haste time.Duration) error {
	bounded, cancel := r.despite(ctx, saveLimit, haste)
	defer cancel()
	return j.Save(bounded)
}

// thaw is one call of Thaw.
type thaw struct {
	*Runner
	namespace string
	freeze    *snapshotv1alpha1.Freeze
	giveUp    time.Time
	// outputs and errs are what the pods' commands said before any thaw, by their index.
	outputs, errs []string
	// pending are the indices of pods that have to be thawed.
	pending []int
}

func (r *Runner) newThaw(ctx context.Context, j *Journal) *thaw {
	freeze := j.Object.Status.Freeze
	t := &thaw{Runner: r, namespace: j.Object.Namespace, freeze: freeze}
	for i := range freeze.Pods {
		pod := &freeze.Pods[i]
		if pod.State == snapshotv1alpha1.PodAttempted && pod.Error == "" {
			pod.Error = "freeze: nobody saw how it ended"
		}
		t.outputs = append(t.outputs, pod.Output)
		t.errs = append(t.errs, freezeError(pod.Error))
		switch {
		case wasTried(pod) && !isOfSpec(j.Object.Spec.Hooks, pod):
			// Whoever may write a status may not run commands by it.
			pod.State = snapshotv1alpha1.PodNotThawed
			pod.Error = start(joinedErrors(t.errs[i], thawPrefix+fmt.Sprintf("not run: it is not the thaw of hook %q in spec.hooks", pod.Hook)), maxError)
		case hasToRun(*pod):
			t.pending = append(t.pending, i)
		case wasTried(pod):
			pod.State = snapshotv1alpha1.PodThawed
		default:
			// Nothing was tried in it, or it is thawed.
		}
	}
	t.giveUp = freeze.Deadline.Time
	if now := r.clock.Now(); now.After(t.giveUp) {
		t.giveUp = now
	}
	t.giveUp = t.giveUp.Add(giveUpAfter)
	klog.FromContext(ctx).V(4).Info("Thawing", "snapshot", klog.KObj(j.Object), "pods", len(t.pending))
	return t
}

// untilDone makes round after round, and says whether the context ended with pods left.
func (t *thaw) untilDone(ctx context.Context) (interrupted bool) {
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		t.round(ctx)
		if ctx.Err() != nil {
			t.hastyRound(ctx)
			return len(t.pending) > 0
		}
		if len(t.pending) == 0 || !t.clock.Now().Before(t.giveUp) {
			return false
		}
		select {
		case <-t.clock.After(backoff):
		case <-ctx.Done():
		}
	}
}

// round tries every pod once, the hooks in reverse order.
func (t *thaw) round(ctx context.Context) {
	for end := len(t.pending); end > 0 && ctx.Err() == nil; {
		begin := end - 1
		hook := t.freeze.Pods[t.pending[begin]].Hook
		for begin > 0 && t.freeze.Pods[t.pending[begin-1]].Hook == hook {
			begin--
		}
		t.try(ctx, t.pending[begin:end], parallelism)
		end = begin
	}
	t.pending = slices.DeleteFunc(t.pending, func(i int) bool { return !wasTried(&t.freeze.Pods[i]) })
}

// hastyRound tries what is left once, all at the same time: there is none for an order.
func (t *thaw) hastyRound(ctx context.Context) {
	if len(t.pending) == 0 {
		return
	}
	bounded, cancel := t.within(context.WithoutCancel(ctx), hastyRound)
	defer cancel()
	t.try(bounded, t.pending, MaxPods)
	t.pending = slices.DeleteFunc(t.pending, func(i int) bool { return !wasTried(&t.freeze.Pods[i]) })
}

// try thaws some pods and puts into the journal what came of it. No two calls in it write to the same pod.
func (t *thaw) try(ctx context.Context, indices []int, atATime int) {
	each(len(indices), atATime, func(k int) {
		i := indices[k]
		pod := &t.freeze.Pods[i]
		state, output, err := t.thawPod(ctx, t.namespace, t.freeze, *pod)
		pod.Output, pod.Error = end(joined(t.outputs[i], output), maxOutput), t.errs[i]
		if state != "" {
			pod.State = state
		} else {
			err = said(err, output)
		}
		if err != nil {
			pod.Error = start(joinedErrors(t.errs[i], thawPrefix+err.Error()), maxError)
		}
	})
}

// conclude sets the last state.
func (t *thaw) conclude() {
	for _, i := range t.pending {
		t.freeze.Pods[i].State = snapshotv1alpha1.PodNotThawed
	}
	t.freeze.State = snapshotv1alpha1.Thawed
	if t.failed() > 0 {
		t.freeze.State = snapshotv1alpha1.NotThawed
	}
}

// failed is in how many pods the thaw was given up, or refused.
func (t *thaw) failed() int {
	n := 0
	for i := range t.freeze.Pods {
		if t.freeze.Pods[i].State == snapshotv1alpha1.PodNotThawed {
			n++
		}
	}
	return n
}

func (t *thaw) observe() {
	t.metrics.thawed(t.clock.Since(t.freeze.StartTime.Time), t.failed())
}

// wasTried says that a freeze was tried in the pod, and no thaw succeeded.
func wasTried(pod *snapshotv1alpha1.FrozenPod) bool {
	switch pod.State {
	case snapshotv1alpha1.PodAttempted, snapshotv1alpha1.PodFrozen, snapshotv1alpha1.PodFailed:
		return true
	default:
		return false
	}
}

// hasToRun says that there is a command to run for it.
func hasToRun(pod snapshotv1alpha1.FrozenPod) bool {
	return wasTried(&pod) && len(pod.Thaw) > 0
}

// isOfSpec says that the thaw in a journal is the one in the spec, which cannot change.
func isOfSpec(hooks *snapshotv1alpha1.Hooks, pod *snapshotv1alpha1.FrozenPod) bool {
	return hooks != nil && slices.ContainsFunc(hooks.Commands, func(hook snapshotv1alpha1.Hook) bool {
		return hook.Name == pod.Hook && slices.Equal(hook.Thaw, pod.Thaw)
	})
}

// freezeError gives what went wrong with the freeze, of an error that may tell of a thaw too.
func freezeError(text string) string {
	if at := strings.LastIndex(text, thawPrefix); at >= 0 {
		text = strings.TrimSuffix(text[:at], "; ")
	}
	return text
}

func joinedErrors(freeze, thaw string) string {
	if freeze == "" {
		return thaw
	}
	// What a person must act on is not what is cut off.
	return start(freeze, maxError/2) + "; " + thaw
}
