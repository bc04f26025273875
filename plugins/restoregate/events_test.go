// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restoregate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"roost.dev/roost/internal/builders"
)

func TestQueueingHint(t *testing.T) {
	plain := func(name string) *corev1.PersistentVolumeClaim { return builders.MakeClaim(name).Obj() }
	for name, tc := range map[string]struct {
		before, after any
		want          fwk.QueueingHint
	}{
		"the restore of its claim ended":         {restoring("data"), plain("data"), fwk.Queue},
		"the restore of its ephemeral one ended": {restoring("db-0-scratch"), plain("db-0-scratch"), fwk.Queue},
		"its claim is there again, free":         {nil, plain("data"), fwk.Queue},
		"its claim is there again, held":         {nil, restoring("data"), fwk.QueueSkip},
		"something else of a held claim changed": {restoring("data"), restoring("data"), fwk.QueueSkip},
		"something else of a free claim changed": {plain("data"), plain("data"), fwk.QueueSkip},
		"a restore of its claim begins":          {plain("data"), restoring("data"), fwk.QueueSkip},
		"the restore of another's claim ended":   {restoring("other"), plain("other"), fwk.QueueSkip},
		"the like in another namespace":          {elsewhere(restoring("data")), elsewhere(plain("data")), fwk.QueueSkip},
		"its claim is deleted":                   {restoring("data"), nil, fwk.QueueSkip},
		"an event of another kind":               {nil, &corev1.Node{}, fwk.Queue},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newGate(t).afterClaim(klog.FromContext(t.Context()), newPod("data"), tc.before, tc.after)
			if _, mistaken := tc.after.(*corev1.Node); (err != nil) != mistaken {
				t.Errorf("error = %v", err)
			}
			if got != tc.want {
				t.Errorf("hint = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestEventsToRegister(t *testing.T) {
	events, err := newGate(t).EventsToRegister(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []fwk.ClusterEvent
	for _, event := range events {
		got = append(got, event.Event)
	}
	want := []fwk.ClusterEvent{{Resource: fwk.PersistentVolumeClaim, ActionType: fwk.Add | fwk.Update}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
