// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

type executorFunc func(ctx context.Context, command []string) (string, error)

func (f executorFunc) Exec(ctx context.Context, _ types.NamespacedName, _ string, command []string) (string, error) {
	return f(ctx, command)
}

// frozenRun freezes db-0 and db-1 with one hook.
func frozenRun(t *testing.T, w *world, funcs interceptor.Funcs) (*Runner, client.WithWatch, *Journal) {
	t.Helper()
	if w.acts == nil {
		w.acts = map[string][]act{}
	}
	c := fakeClient(funcs, append(twoPods(), snapshotWith(hookNamed("lock")))...)
	r := w.runner(c)
	j := planned(t, r, c)
	if err := r.Freeze(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if frozen := w.frozen(); !slices.Equal(frozen, []string{"db-0", "db-1"}) {
		t.Fatalf("%v are frozen", frozen)
	}
	return r, c, j
}

func repeated(a act, times int) []act { return slices.Repeat([]act{a}, times) }

func TestThawTriesAgainUntilItSucceeds(t *testing.T) {
	for name, tc := range map[string]act{"it fails": fails, "it hangs": {hangs: DefaultTimeout}, "denied": denied} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(map[string][]act{"thaw db-0": repeated(tc, 2)})
			r, _, j := frozenRun(t, w, interceptor.Funcs{})
			if err := r.Thaw(t.Context(), j); err != nil {
				t.Fatal(err)
			}
			freeze := j.Object.Status.Freeze
			if diff := cmp.Diff([]string{"lock db-0 Thawed", "lock db-1 Thawed"}, states(freeze)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if freeze.State != snapshotv1alpha1.Thawed || freeze.Pods[0].Error != "" || len(w.frozen()) > 0 {
				t.Errorf("state %s, error %q, frozen %v", freeze.State, freeze.Pods[0].Error, w.frozen())
			}
			if got := testutil.ToFloat64(r.metrics.thawFailures); got != 0 {
				t.Errorf("%v failures counted", got)
			}
			if w.longest() > maxFreeze+granularity {
				t.Errorf("frozen for %s", w.longest())
			}
		})
	}
}

func TestThawGivesUpLoudly(t *testing.T) {
	w := newWorld(map[string][]act{"thaw db-0": repeated(fails, 10_000)})
	r, c, j := frozenRun(t, w, interceptor.Funcs{})
	if err := r.Thaw(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	freeze := read(t, c).Object.Status.Freeze
	if diff := cmp.Diff([]string{"lock db-0 NotThawed", "lock db-1 Thawed"}, states(freeze)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if freeze.State != snapshotv1alpha1.NotThawed || freeze.Pods[0].Error != "thaw: command terminated with exit code 1" {
		t.Errorf("state %s, error %q", freeze.State, freeze.Pods[0].Error)
	}
	if NeedsThaw(&read(t, c).Object.Status) {
		t.Error("it would be thawed for ever")
	}
	if late := w.clock.Since(freeze.Deadline.Time); late < giveUpAfter || late > giveUpAfter+lastBackoff+time.Second {
		t.Errorf("it gave up %s after the deadline", late)
	}
	if got := testutil.ToFloat64(r.metrics.thawFailures); got != 1 {
		t.Errorf("%v failures counted", got)
	}
	// The timer's thaw works where Roost's did not.
	if frozen := w.frozen(); len(frozen) > 0 || w.longest() > maxFreeze+granularity {
		t.Errorf("%v are frozen, for %s at most", frozen, w.longest())
	}
}

// A successor that comes hours later has all its tries.
func TestThawLongAfterTheDeadline(t *testing.T) {
	w := newWorld(map[string][]act{"thaw db-0": repeated(fails, 5)})
	_, c, _ := frozenRun(t, w, interceptor.Funcs{})
	w.clock.Step(5 * time.Hour)
	j := read(t, c)
	if err := w.runner(c).Thaw(t.Context(), j); err != nil || j.Object.Status.Freeze.State != snapshotv1alpha1.Thawed {
		t.Errorf("state %s (%v)", j.Object.Status.Freeze.State, err)
	}
}

var changedPodTests = map[string]struct {
	change    func(t *testing.T, w *world, c client.Client)
	want      snapshotv1alpha1.PodState
	wantError string
	wantThaw  bool
}{
	"gone": {
		change: func(t *testing.T, _ *world, c client.Client) {
			if err := c.Delete(t.Context(), runningPod("db-0")); err != nil {
				t.Fatal(err)
			}
		},
		want: snapshotv1alpha1.PodGone,
	},
	"ended": {
		change: func(t *testing.T, _ *world, c client.Client) {
			replace(t, c, changedPod("db-0", func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodFailed }))
		},
		want: snapshotv1alpha1.PodGone,
	},
	"replaced after the freeze": {
		change: func(t *testing.T, w *world, c client.Client) {
			replace(t, c, changedPod("db-0", func(pod *corev1.Pod) {
				pod.UID, pod.CreationTimestamp = "another", metav1.NewTime(w.clock.Now().Add(time.Minute))
			}))
		},
		want: snapshotv1alpha1.PodGone,
	},
	"replaced just before the freeze command ran": {
		change: func(t *testing.T, w *world, c client.Client) {
			replace(t, c, changedPod("db-0", func(pod *corev1.Pod) {
				pod.UID, pod.CreationTimestamp = "another", metav1.NewTime(w.clock.Now().Add(-time.Minute))
			}))
		},
		want: snapshotv1alpha1.PodGone, wantThaw: true,
	},
	// A filesystem stays frozen when the container that froze it ends.
	"its container was started anew": {
		change: func(t *testing.T, _ *world, c client.Client) {
			replace(t, c, changedPod("db-0", func(pod *corev1.Pod) { pod.Status.ContainerStatuses[0].ContainerID = "containerd://another" }))
		},
		want: snapshotv1alpha1.PodGone, wantError: "thaw: the container was started anew after the freeze", wantThaw: true,
	},
	"another container was started anew": {
		change: func(t *testing.T, _ *world, c client.Client) {
			replace(t, c, changedPod("db-0", func(pod *corev1.Pod) { pod.Status.ContainerStatuses[1].RestartCount++ }))
		},
		want: snapshotv1alpha1.PodThawed, wantThaw: true,
	},
}

func TestPodsThatChangedUnderAFreeze(t *testing.T) {
	for name, tc := range changedPodTests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(nil)
			r, c, j := frozenRun(t, w, interceptor.Funcs{})
			tc.change(t, w, c)
			if err := r.Thaw(t.Context(), j); err != nil {
				t.Fatal(err)
			}
			pod := j.Object.Status.Freeze.Pods[0]
			if pod.State != tc.want || pod.Error != tc.wantError || j.Object.Status.Freeze.State != snapshotv1alpha1.Thawed {
				t.Errorf("pod %s %q, freeze %s", pod.State, pod.Error, j.Object.Status.Freeze.State)
			}
			if thawed := slices.Contains(w.log, "thaw db-0"); thawed != tc.wantThaw {
				t.Errorf("ran %v", w.log)
			}
			if !slices.Contains(w.log, "thaw db-1") {
				t.Error("the other pod was not thawed")
			}
		})
	}
}

// The freeze command of a pod was given up on, the thaw ran, and then the command got its lock. Only the timer is there then.
func TestAFreezeThatComesAfterTheThaw(t *testing.T) {
	w := newWorld(map[string][]act{"freeze db-0": {late}})
	c := fakeClient(interceptor.Funcs{}, append(namedPods(), snapshotWith(onPod("lock", "db-0")))...)
	r := w.runner(c)
	j := planned(t, r, c)
	if err := r.Freeze(t.Context(), j); err == nil {
		t.Fatal("no error")
	}
	if err := r.Thaw(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if frozen := w.frozen(); !slices.Equal(frozen, []string{"db-0"}) {
		t.Fatalf("the world did not do what this is about: %v are frozen", frozen)
	}
	w.clock.SetTime(j.Object.Status.Freeze.Deadline.Add(granularity))
	if frozen := w.frozen(); len(frozen) > 0 {
		t.Errorf("%v are frozen after the deadline", frozen)
	}
}

func TestThawRunsWhateverTheAPIServerSays(t *testing.T) {
	broken := false
	unavailable := errors.New("the API server is not there")
	for name, funcs := range map[string]interceptor.Funcs{
		"it cannot be written": {SubResourceUpdate: func(ctx context.Context, c client.Client, name string, object client.Object, options ...client.SubResourceUpdateOption) error {
			if broken {
				return unavailable
			}
			return c.SubResource(name).Update(ctx, object, options...)
		}},
		"pods cannot be read either": {
			SubResourceUpdate: func(ctx context.Context, c client.Client, name string, object client.Object, options ...client.SubResourceUpdateOption) error {
				if broken {
					return unavailable
				}
				return c.SubResource(name).Update(ctx, object, options...)
			},
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
				if broken {
					return unavailable
				}
				return c.Get(ctx, key, object, options...)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			broken = false
			w := newWorld(nil)
			r, c, j := frozenRun(t, w, funcs)
			broken = true
			if err := r.Thaw(t.Context(), j); !errors.Is(err, unavailable) {
				t.Errorf("got %v", err)
			}
			if frozen := w.frozen(); len(frozen) > 0 {
				t.Errorf("%v are frozen", frozen)
			}
			broken = false
			again := read(t, c)
			if err := r.Thaw(t.Context(), again); err != nil || again.Object.Status.Freeze.State != snapshotv1alpha1.Thawed {
				t.Errorf("the second time: state %s (%v)", again.Object.Status.Freeze.State, err)
			}
		})
	}
}

func TestThawRunsInSpiteOfAConflict(t *testing.T) {
	w := newWorld(nil)
	r, c, j := frozenRun(t, w, interceptor.Funcs{})
	other := read(t, c)
	other.Object.Status.Message = "somebody else was here"
	if err := other.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Thaw(t.Context(), j); err == nil {
		t.Error("the conflict is hidden")
	}
	if frozen := w.frozen(); len(frozen) > 0 {
		t.Errorf("%v are frozen", frozen)
	}
}

// Whoever may write a status could run any command in any pod.
func TestAThawThatIsNotInTheSpecIsNotRun(t *testing.T) {
	for name, forge := range map[string]func(*snapshotv1alpha1.FrozenPod){
		"another command":          func(pod *snapshotv1alpha1.FrozenPod) { pod.Thaw = []string{"thaw", "--evil"} },
		"no command":               func(pod *snapshotv1alpha1.FrozenPod) { pod.Thaw = nil },
		"that of a hook not there": func(pod *snapshotv1alpha1.FrozenPod) { pod.Hook = "evil" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(nil)
			r, c, j := frozenRun(t, w, interceptor.Funcs{})
			forge(&j.Object.Status.Freeze.Pods[0])
			if err := r.Thaw(t.Context(), j); err != nil {
				t.Fatal(err)
			}
			freeze := read(t, c).Object.Status.Freeze
			if got := freeze.Pods[0]; freeze.State != snapshotv1alpha1.NotThawed || got.State != snapshotv1alpha1.PodNotThawed || !strings.Contains(got.Error, "spec.hooks") {
				t.Errorf("freeze %s, pod %s %q", freeze.State, got.State, got.Error)
			}
			if got := freeze.Pods[1].State; got != snapshotv1alpha1.PodThawed {
				t.Errorf("the other pod is %s", got)
			}
			if slices.Contains(w.log, "thaw db-0") {
				t.Errorf("ran %v", w.log)
			}
			if got := testutil.ToFloat64(r.metrics.thawFailures); got != 1 {
				t.Errorf("%v failures counted", got)
			}
		})
	}
}

// SIGTERM: the lead is given up within 2 seconds, and what can be thawed by then is.
func TestAManagerThatIsToldToEndThawsAtOnce(t *testing.T) {
	const total = hastyAnnounce + hastyRound + hastySave
	if total >= 2*time.Second {
		t.Fatalf("%s are not less than the 2s that a successor waits", total)
	}
	// The hang moves everybody's clock. It does so once the other pod is thawed, as its thaw has begun at the same time.
	thawed := make(chan struct{})
	for name, tc := range map[string]struct {
		acts  map[string][]act
		want  snapshotv1alpha1.FreezeState
		still []string
	}{
		"all at once": {want: snapshotv1alpha1.Thawed},
		"what hangs is the successor's": {
			acts: map[string][]act{
				"thaw db-0": {{hangs: hastyRound, before: func() { <-thawed }}},
				"stop db-1": {{effect: true, before: func() { close(thawed) }}},
			},
			want: snapshotv1alpha1.Thawing, still: []string{"db-0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(tc.acts)
			r, c, j := frozenRun(t, w, interceptor.Funcs{SubResourceUpdate: func(ctx context.Context, c client.Client, name string, object client.Object, options ...client.SubResourceUpdateOption) error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return c.SubResource(name).Update(ctx, object, options...)
			}})
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			began := w.clock.Now()
			err := r.Thaw(ctx, j)
			if took := w.clock.Since(began); took > 2*time.Second {
				t.Errorf("it took %s", took)
			}
			if state := read(t, c).Object.Status.Freeze.State; state != tc.want || (err == nil) != (tc.want == snapshotv1alpha1.Thawed) {
				t.Errorf("state %s (%v)", state, err)
			}
			if diff := cmp.Diff(tc.still, w.frozen()); diff != "" {
				t.Errorf("frozen (-want +got):\n%s", diff)
			}
			successor := read(t, c)
			if err := w.runner(c).Thaw(t.Context(), successor); err != nil || len(w.frozen()) > 0 {
				t.Errorf("after the successor %v are frozen (%v)", w.frozen(), err)
			}
		})
	}
}

func TestAManagerThatIsToldToEndWhileItThaws(t *testing.T) {
	w := newWorld(nil)
	r, _, j := frozenRun(t, w, interceptor.Funcs{})
	ctx, cancel := context.WithCancel(t.Context())
	w.acts["thaw db-0"] = []act{{err: fails.err, before: cancel}}
	if err := r.Thaw(ctx, j); err != nil {
		t.Errorf("the second try works: %v", err)
	}
	if frozen := w.frozen(); len(frozen) > 0 {
		t.Errorf("%v are frozen", frozen)
	}
}

func TestASecondThawForgetsWhatTheFirstSaid(t *testing.T) {
	w := newWorld(nil)
	r, c, j := frozenRun(t, w, interceptor.Funcs{})
	pod := &j.Object.Status.Freeze.Pods[0]
	pod.Error = "freeze: half of it; thaw: it was not reached"
	j.Object.Status.Freeze.State = snapshotv1alpha1.Thawing
	if err := errors.Join(j.Save(t.Context()), r.Thaw(t.Context(), read(t, c))); err != nil {
		t.Fatal(err)
	}
	got := read(t, c).Object.Status.Freeze.Pods[0]
	if got.Error != "freeze: half of it" || got.State != snapshotv1alpha1.PodThawed {
		t.Errorf("error %q in state %s", got.Error, got.State)
	}
}

func TestNeedsThaw(t *testing.T) {
	want := map[snapshotv1alpha1.FreezeState]bool{
		snapshotv1alpha1.Freezing: true, snapshotv1alpha1.Frozen: true, snapshotv1alpha1.Thawing: true,
		snapshotv1alpha1.Thawed: false, snapshotv1alpha1.NotThawed: false,
	}
	for state, want := range want {
		if got := NeedsThaw(&snapshotv1alpha1.ApplicationSnapshotStatus{Freeze: &snapshotv1alpha1.Freeze{State: state}}); got != want {
			t.Errorf("%s: %t", state, got)
		}
	}
	if NeedsThaw(&snapshotv1alpha1.ApplicationSnapshotStatus{}) {
		t.Error("without a journal")
	}
}

func TestAPlanThatNobodyBeganThawsNothing(t *testing.T) {
	w := newWorld(nil)
	c := fakeClient(interceptor.Funcs{}, append(twoPods(), snapshotWith(hookNamed("lock")))...)
	r := w.runner(c)
	j := planned(t, r, c)
	if err := r.Thaw(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if len(w.log) > 0 || j.Object.Status.Freeze.State != snapshotv1alpha1.Thawed {
		t.Errorf("ran %v, state %s", w.log, j.Object.Status.Freeze.State)
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld(nil)
	r, _, j := frozenRun(t, w, interceptor.Funcs{})
	if err := r.Thaw(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if problems, err := testutil.CollectAndLint(r.metrics); err != nil || len(problems) > 0 {
		t.Errorf("%v (%v)", problems, err)
	}
	text, err := testutil.CollectAndFormat(r.metrics, expfmt.TypeTextPlain, "roost_snapshot_freeze_duration_seconds")
	if err != nil || !strings.Contains(string(text), "roost_snapshot_freeze_duration_seconds_count 1") {
		t.Errorf("%s (%v)", text, err)
	}
}

// each is what keeps a hook of many pods from opening as many streams.
func TestEachHasABound(t *testing.T) {
	running, most := make(chan struct{}, 100), make(chan int, 100)
	each(50, 4, func(int) {
		running <- struct{}{}
		most <- len(running)
		<-running
	})
	close(most)
	ran := 0
	for n := range most {
		ran++
		if n > 4 {
			t.Fatal(fmt.Sprint(n, " at the same time"))
		}
	}
	if ran != 50 {
		t.Errorf("%d ran", ran)
	}
}

func TestASuccessorSaysThatNobodySawHowAFreezeEnded(t *testing.T) {
	w := newWorld(nil)
	c := fakeClient(interceptor.Funcs{}, append(namedPods(), snapshotWith(onPod("lock", "db-0")))...)
	r := w.runner(c)
	j := planned(t, r, c)
	j.Object.Status.Freeze.Pods[0].State = snapshotv1alpha1.PodAttempted
	if err := r.Thaw(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	pod := read(t, c).Object.Status.Freeze.Pods[0]
	if pod.State != snapshotv1alpha1.PodThawed || pod.Error != "freeze: nobody saw how it ended" {
		t.Errorf("%s, %q", pod.State, pod.Error)
	}
}
