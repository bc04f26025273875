// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

var errWrite = errors.New("no write")

// limits lets so many status writes through, then none; below zero lets all through. After is called at each that fails.
type limits struct {
	writes int
	after  func()
}

func (l *limits) funcs() interceptor.Funcs {
	return interceptor.Funcs{SubResourceUpdate: func(ctx context.Context, c client.Client, name string, object client.Object, options ...client.SubResourceUpdateOption) error {
		if l.writes == 0 {
			l.after()
			return errWrite
		}
		l.writes--
		return c.SubResource(name).Update(ctx, object, options...)
	}}
}

// procedure is what the loop of ApplicationSnapshots does with a Runner.
func procedure(ctx context.Context, t *testing.T, r *Runner, c client.Client) {
	t.Helper()
	j := read(t, c)
	freeze, err := r.Plan(t.Context(), j.Object)
	if err != nil {
		t.Fatal(err)
	}
	j.Object.Status.Freeze = freeze
	if j.Save(ctx) != nil {
		return
	}
	// What these say does not matter here: it is thawed either way.
	_ = r.Freeze(ctx, j)
	_ = r.Thaw(ctx, j)
}

// crash plays the procedure in a process that dies at a write or at a command, below zero never. Nothing of it goes on.
func crash(t *testing.T, script map[string][]act, atWrite, atCommand int) (*world, client.Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w, limit := newWorld(copied(script)), &limits{writes: atWrite}
	w.diesAt = atCommand
	w.die = func() {
		limit.writes = 0
		cancel()
	}
	limit.after = func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.dead = true
		cancel()
	}
	c := fakeClient(limit.funcs(), hooksOfScripts()...)
	procedure(ctx, t, w.runner(c), c)
	limit.writes, w.dead, w.diesAt = -1, false, -1
	return w, c
}

// scripts are faults of pods; each is played with a crash at every write and at every command.
var scripts = map[string]map[string][]act{
	"all works":                 {},
	"a freeze fails halfway":    {"freeze db-1": {halfway}},
	"a freeze fails":            {"freeze db-0": {fails}},
	"a freeze hangs":            {"freeze db-1": {hangs}},
	"a freeze comes late":       {"freeze db-1": {late}},
	"a container is gone":       {"freeze db-1": {gone}, "thaw db-1": {gone, gone}},
	"a timer does not start":    {"start db-1": {fails}},
	"a timer hangs":             {"start db-0": {hangs}},
	"a timer cannot be stopped": {"stop db-0": {denied}},
	"denied":                    {"start db-0": {denied}, "start db-1": {denied}},
	"a thaw fails twice":        {"thaw db-0": {fails, fails}},
	"a thaw hangs":              {"thaw db-1": {{hangs: DefaultTimeout}}},
	"a thaw is not heard of":    {"thaw db-1": {hangs}},
	"a thaw never works":        {"thaw db-0": repeated(fails, 10_000)},
}

func copied(script map[string][]act) map[string][]act {
	acts := map[string][]act{}
	for command, does := range script {
		acts[command] = slices.Clone(does)
	}
	return acts
}

// holds checks what must hold once a procedure is over.
func holds(t *testing.T, w *world, deadline bool) {
	t.Helper()
	if deadline {
		w.clock.Step(maxFreeze + granularity)
	}
	if frozen := w.frozen(); len(frozen) > 0 {
		t.Errorf("%v are frozen; ran %v", frozen, w.log)
	}
	if longest := w.longest(); longest > maxFreeze+granularity {
		t.Errorf("frozen for %s, %s is allowed", longest, maxFreeze)
	}
}

func hooksOfScripts() []client.Object {
	return append(namedPods(), snapshotWith(onPod("first", "db-0"), continuing(onPod("second", "db-1")), hookNamed("third")))
}

// A successor finds what a manager left that crashed. At the end nothing is frozen, by the successor's thaw at once or, where
// a freeze came late or a thaw cannot work, by the timer.
func TestNothingStaysFrozenWhereverAManagerCrashes(t *testing.T) {
	for name, script := range scripts {
		byTimer := name == "a freeze comes late" || name == "a thaw never works"
		for n := range 9 {
			t.Run(fmt.Sprintf("%s, crash at write %d", name, n), func(t *testing.T) {
				w, c := crash(t, script, n, -1)
				succeed(t, w, c)
				holds(t, w, byTimer)
			})
		}
		for n := range 16 {
			t.Run(fmt.Sprintf("%s, crash at command %d", name, n), func(t *testing.T) {
				w, c := crash(t, script, -1, n)
				succeed(t, w, c)
				holds(t, w, byTimer)
			})
		}
	}
}

// Only the API server is away, and the process lives: it thaws without.
func TestNothingStaysFrozenWhereverTheAPIServerGoesAway(t *testing.T) {
	for name, script := range scripts {
		byTimer := name == "a freeze comes late" || name == "a thaw never works"
		for n := range 9 {
			t.Run(fmt.Sprintf("%s, at write %d", name, n), func(t *testing.T) {
				w, limit := newWorld(copied(script)), &limits{writes: n, after: func() {}}
				c := fakeClient(limit.funcs(), hooksOfScripts()...)
				procedure(t.Context(), t, w.runner(c), c)
				holds(t, w, byTimer)
			})
		}
	}
}

// The timers thaw.
func TestNothingStaysFrozenWhenNobodyComesBack(t *testing.T) {
	for name, script := range scripts {
		for n := range 16 {
			t.Run(fmt.Sprintf("%s, crash at command %d", name, n), func(t *testing.T) {
				w, _ := crash(t, script, -1, n)
				holds(t, w, true)
			})
		}
	}
}

func succeed(t *testing.T, w *world, c client.Client) {
	t.Helper()
	j := read(t, c)
	if NeedsThaw(&j.Object.Status) {
		if err := w.runner(c).Thaw(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	if status := read(t, c).Object.Status; NeedsThaw(&status) {
		t.Errorf("state %s at the end", status.Freeze.State)
	}
}
