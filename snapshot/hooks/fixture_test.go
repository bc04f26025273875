// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	utilexec "k8s.io/client-go/util/exec"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/journal"
)

const (
	namespace = "shop"
	maxFreeze = 30 * time.Second
	// execTime is how long a command takes in the fake world.
	execTime = 50 * time.Millisecond
	// granularity is what a freeze may take beyond maxFreeze: the timer is rounded up to a second, and starting it takes a while.
	granularity = time.Second + 4*execTime
)

// testClock lets waits between rounds pass at once. Limits of commands stay where they are until somebody steps.
type testClock struct{ *clocktesting.FakeClock }

func (c testClock) After(d time.Duration) <-chan time.Time {
	c.Step(d)
	passed := make(chan time.Time, 1)
	passed <- c.Now()
	return passed
}

// act is what a command does in the fake world.
type act struct {
	// effect is whether it freezes or thaws; late is whether it freezes once somebody has thawed the pod, before the timer.
	effect, late bool
	// hangs is how long nobody hears of it. The clock is moved on by that.
	hangs time.Duration
	err   error
	// before is called when the command begins.
	before func()
}

var (
	works   = act{effect: true}
	fails   = act{err: utilexec.CodeExitError{Err: errors.New("command terminated with exit code 1"), Code: 1}}
	halfway = act{effect: true, err: fails.err}
	denied  = act{err: apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "db-0", errors.New(`user "roost" cannot create resource "pods/exec"`))}
	gone    = act{err: errors.New(`container not found ("postgres")`)}
	hangs   = act{effect: true, hangs: DefaultTimeout}
	late    = act{late: true, hangs: DefaultTimeout}
)

// frozenFlag is the state of a pod's application.
type frozenFlag struct {
	since   *time.Time
	late    bool
	timers  map[string]time.Time
	longest time.Duration
}

// world runs commands in pods that it makes up, with the timers that are started in them.
type world struct {
	clock testClock

	mu sync.Mutex
	// acts are what the commands of a pod do in turn, by "freeze db-0"; after the last they work.
	acts map[string][]act
	pods map[string]*frozenFlag
	log  []string
	// dead is that the process that runs commands died. diesAt makes it die at so many commands from now, and die is called
	// then.
	dead   bool
	diesAt int
	die    func()
}

func newWorld(acts map[string][]act) *world {
	return &world{
		clock: testClock{clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))},
		acts:  acts, pods: map[string]*frozenFlag{}, diesAt: -1,
	}
}

func kindOf(command []string) string {
	switch {
	case len(command) > 2 && command[2] == startScript:
		return "start"
	case len(command) > 2 && command[2] == stopScript:
		return "stop"
	default:
		return command[0]
	}
}

// Exec implements Executor.
func (w *world) Exec(ctx context.Context, pod types.NamespacedName, _ string, command []string) (string, error) {
	kind := kindOf(command)
	does, flag, err := w.begin(ctx, kind, pod.Name)
	if err != nil {
		return "", err
	}
	if does.before != nil {
		does.before()
	}
	w.clock.Step(execTime)
	output := ""
	if does.effect {
		output = w.affect(flag, kind, command)
	}
	w.mu.Lock()
	flag.late = flag.late || does.late
	w.mu.Unlock()
	if does.hangs > 0 {
		w.clock.Step(does.hangs)
		<-ctx.Done()
		return output, ctx.Err()
	}
	return output, does.err
}

func (w *world) begin(ctx context.Context, kind, pod string) (act, *frozenFlag, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.diesAt == 0 && !w.dead {
		w.dead = true
		w.die()
	}
	if w.dead || ctx.Err() != nil {
		return act{}, nil, errors.New("connection lost")
	}
	w.diesAt--
	w.log = append(w.log, kind+" "+pod)
	if w.pods[pod] == nil {
		w.pods[pod] = &frozenFlag{timers: map[string]time.Time{}}
	}
	does := works
	if rest := w.acts[kind+" "+pod]; len(rest) > 0 {
		does, w.acts[kind+" "+pod] = rest[0], rest[1:]
	}
	return does, w.pods[pod], nil
}

func (w *world) affect(flag *frozenFlag, kind string, command []string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now()
	flag.settle(now)
	switch kind {
	case "start":
		var seconds int
		_, _ = fmt.Sscan(command[7], &seconds)
		pid := fmt.Sprint(100 + len(w.log))
		flag.timers[pid] = now.Add(time.Duration(seconds) * time.Second)
		return pid + "\n"
	case "stop":
		delete(flag.timers, command[4])
	case "thaw":
		flag.thaw(now)
	default:
		flag.freeze(now)
	}
	return kind + " says so"
}

func (f *frozenFlag) freeze(now time.Time) {
	if f.since == nil {
		f.since = &now
	}
}

func (f *frozenFlag) thaw(now time.Time) {
	if f.since != nil {
		f.longest = max(f.longest, now.Sub(*f.since))
		f.since = nil
	}
	if f.late {
		f.late, f.since = false, &now
	}
}

// settle runs the timers that are due.
func (f *frozenFlag) settle(now time.Time) {
	for pid, due := range f.timers {
		if due.After(now) {
			continue
		}
		delete(f.timers, pid)
		f.late = false
		if f.since != nil && !f.since.After(due) {
			f.thaw(due)
		}
	}
}

// frozen names the pods that are frozen now.
func (w *world) frozen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for name, flag := range w.pods {
		flag.settle(w.clock.Now())
		if flag.since != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// longest is how long a pod was frozen at most.
func (w *world) longest() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var longest time.Duration
	for _, flag := range w.pods {
		longest = max(longest, flag.longest)
	}
	return longest
}

// did gives the commands that ran, those of the timers left out.
func (w *world) did() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.log), func(entry string) bool {
		return strings.HasPrefix(entry, "start ") || strings.HasPrefix(entry, "stop ")
	})
}

// testScheme is made once: that takes longer than a test.
var testScheme = sync.OnceValue(func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(snapshotv1alpha1.AddToScheme(scheme))
	return scheme
})

// runningPod mounts the claim data-<name>.
func runningPod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{"app": "db"}},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "postgres"}, {Name: "exporter"}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-" + name},
			}}},
		},
		Status: corev1.PodStatus{
			Phase:             corev1.PodRunning,
			Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "postgres", ContainerID: "containerd://" + name}, {Name: "exporter"}},
		},
	}
}

// hookNamed freezes all pods of the snapshot's claims, and is to fail on an error.
func hookNamed(name string) snapshotv1alpha1.Hook {
	return snapshotv1alpha1.Hook{Name: name, Freeze: []string{"freeze"}, Thaw: []string{"thaw"}}
}

func snapshotWith(hooks ...snapshotv1alpha1.Hook) *snapshotv1alpha1.ApplicationSnapshot {
	snapshot := &snapshotv1alpha1.ApplicationSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "nightly", UID: "uid-nightly"}}
	snapshot.Spec.Hooks = &snapshotv1alpha1.Hooks{MaxFreeze: metav1.Duration{Duration: maxFreeze}, Commands: hooks}
	for _, claim := range []string{"data-db-0", "data-db-1"} {
		snapshot.Status.Members = append(snapshot.Status.Members, snapshotv1alpha1.SnapshotMember{ClaimName: claim, ClaimUID: types.UID(claim)})
	}
	return snapshot
}

func twoPods() []client.Object { return []client.Object{runningPod("db-0"), runningPod("db-1")} }

func fakeClient(funcs interceptor.Funcs, objects ...client.Object) client.WithWatch {
	return fake.NewClientBuilder().WithScheme(testScheme()).WithStatusSubresource(&snapshotv1alpha1.ApplicationSnapshot{}).
		WithInterceptorFuncs(funcs).WithObjects(objects...).Build()
}

func (w *world) runner(c client.Client) *Runner {
	return New(Options{Client: c, Memory: c, Executor: w, Clock: w.clock})
}

// read gives a journal over the snapshot as the API server has it.
func read(t *testing.T, c client.Client) *Journal {
	t.Helper()
	snapshot := &snapshotv1alpha1.ApplicationSnapshot{}
	if err := c.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "nightly"}, snapshot); err != nil {
		t.Fatal(err)
	}
	return journal.Open(c, snapshot)
}

// planned plans and saves.
func planned(t *testing.T, r *Runner, c client.Client) *Journal {
	t.Helper()
	j := read(t, c)
	freeze, err := r.Plan(t.Context(), j.Object)
	if err != nil {
		t.Fatal(err)
	}
	j.Object.Status.Freeze = freeze
	if err := j.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	return j
}

// states gives the states of a journal's pods, as "lock db-0 Frozen".
func states(freeze *snapshotv1alpha1.Freeze) []string {
	var all []string
	for i := range freeze.Pods {
		all = append(all, fmt.Sprintf("%s %s %s", freeze.Pods[i].Hook, freeze.Pods[i].Name, freeze.Pods[i].State))
	}
	return all
}
