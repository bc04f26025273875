// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// leftBehind is a snapshot whose thaw of db-0 was given up.
func leftBehind(change func(*snapshotv1alpha1.FrozenPod)) *snapshotv1alpha1.ApplicationSnapshot {
	other := snapshotWith(hookNamed("lock"))
	other.Name, other.UID = "hourly", "uid-hourly"
	pod := snapshotv1alpha1.FrozenPod{
		Hook: "lock", Name: "db-0", UID: "uid-db-0", Container: "postgres", ContainerID: "containerd://db-0",
		Thaw: []string{"thaw"}, State: snapshotv1alpha1.PodNotThawed,
	}
	if change != nil {
		change(&pod)
	}
	other.Status.Freeze = &snapshotv1alpha1.Freeze{RunID: "other", State: snapshotv1alpha1.NotThawed, Pods: []snapshotv1alpha1.FrozenPod{pod}}
	return other
}

func TestAPodThatAnotherCouldNotThawIsNotFrozenAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		acts   map[string][]act
		change func(*snapshotv1alpha1.FrozenPod)
		ran    []string
		busy   bool
	}{
		"while it cannot be thawed":               {acts: map[string][]act{"thaw db-0": {fails}}, ran: []string{"thaw db-0"}, busy: true},
		"once it can be":                          {ran: []string{"thaw db-0"}},
		"unless another pod has its name now":     {change: func(p *snapshotv1alpha1.FrozenPod) { p.UID = "another" }},
		"unless its container was started anew":   {change: func(p *snapshotv1alpha1.FrozenPod) { p.ContainerID = "containerd://another" }},
		"in another container of it":              {change: func(p *snapshotv1alpha1.FrozenPod) { p.Container, p.ContainerID = "exporter", "x" }, ran: []string{"thaw db-0"}},
		"unless it was thawed":                    {change: func(p *snapshotv1alpha1.FrozenPod) { p.State = snapshotv1alpha1.PodThawed }},
		"and nothing is run that is in no spec":   {change: func(p *snapshotv1alpha1.FrozenPod) { p.Thaw = []string{"evil"} }, busy: true},
		"and nothing of a hook that is in no one": {change: func(p *snapshotv1alpha1.FrozenPod) { p.Hook = "evil" }, busy: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(copied(tc.acts))
			r := w.runner(fakeClient(interceptor.Funcs{}, append(twoPods(), leftBehind(tc.change))...))
			freeze, err := r.Plan(t.Context(), snapshotWith(hookNamed("lock")))
			if busy := errors.Is(err, ErrBusy); busy != tc.busy || busy != (err != nil) || busy && !strings.Contains(err.Error(), "hourly") {
				t.Errorf("got %v, want ErrBusy with the name of the other: %t", err, tc.busy)
			}
			if !slices.Equal(w.log, tc.ran) {
				t.Errorf("ran %v, want %v", w.log, tc.ran)
			}
			if err == nil && r.reserve(freeze) != "" {
				t.Error("the pods are reserved still")
			}
		})
	}
}

// Another run of this process has the pod: a thaw would be of that.
func TestWhatAnotherRunFreezesIsNotThawed(t *testing.T) {
	w := newWorld(nil)
	r := w.runner(fakeClient(interceptor.Funcs{}, append(twoPods(), leftBehind(nil))...))
	r.reserve(&snapshotv1alpha1.Freeze{RunID: "a third", Pods: []snapshotv1alpha1.FrozenPod{{UID: "uid-db-0"}}})
	if _, err := r.Plan(t.Context(), snapshotWith(hookNamed("lock"))); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	if len(w.log) > 0 {
		t.Errorf("ran %v", w.log)
	}
}

// A network that is down is not for the user: it says nothing of the pods.
func TestOnlyWhatIsForTheUserIsARefusal(t *testing.T) {
	down := errors.New("dial tcp 10.0.0.1:443: connect: connection refused")
	funcs := interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		if _, pods := list.(*corev1.PodList); pods {
			return down
		}
		return c.List(ctx, list, options...)
	}}
	for name, tc := range map[string]struct {
		client client.Client
		want   bool
	}{
		"no pod is ready": {fakeClient(interceptor.Funcs{}), true},
		"no network":      {fakeClient(funcs, twoPods()...), false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newWorld(nil).runner(tc.client).Plan(t.Context(), snapshotWith(hookNamed("lock")))
			var refusal *Refusal
			if got := errors.As(err, &refusal); err == nil || got != tc.want {
				t.Errorf("%v is for the user: %t, want %t", err, got, tc.want)
			}
		})
	}
}
