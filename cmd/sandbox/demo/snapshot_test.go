// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

var midday = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// after is a moment that many milliseconds after midday.
func after(milliseconds int) *metav1.MicroTime {
	return &metav1.MicroTime{Time: midday.Add(time.Duration(milliseconds) * time.Millisecond)}
}

// cutAt is a snapshot whose pods were frozen from 200 ms to 500 ms, and whose claims were cut at these moments.
func cutAt(moments ...*metav1.MicroTime) *snapshotv1alpha1.ApplicationSnapshot {
	object := &snapshotv1alpha1.ApplicationSnapshot{ObjectMeta: metav1.ObjectMeta{Name: "snap", CreationTimestamp: metav1.NewTime(midday)}}
	object.Status.Freeze = &snapshotv1alpha1.Freeze{StartTime: *after(100), FrozenTime: after(200), ThawTime: after(500)}
	for _, moment := range moments {
		object.Status.Members = append(object.Status.Members, snapshotv1alpha1.SnapshotMember{CutTime: moment})
	}
	return object
}

func TestFrozenFor(t *testing.T) {
	notThawed := cutAt(after(300), after(400))
	notThawed.Status.Freeze.ThawTime = nil
	withoutHooks := cutAt(after(300), after(400))
	withoutHooks.Status.Freeze = nil
	for name, tc := range map[string]struct {
		snapshot *snapshotv1alpha1.ApplicationSnapshot
		held     bool
		frozen   time.Duration
	}{
		"all cut while frozen":         {snapshot: cutAt(after(300), after(400)), held: true, frozen: 400 * time.Millisecond},
		"one cut while still freezing": {snapshot: cutAt(after(150), after(400)), frozen: 400 * time.Millisecond},
		"one cut after the thaw began": {snapshot: cutAt(after(300), after(501)), frozen: 400 * time.Millisecond},
		"one not cut":                  {snapshot: cutAt(after(300), nil), frozen: 400 * time.Millisecond},
		"not all claims":               {snapshot: cutAt(after(300))},
		"not thawed":                   {snapshot: notThawed},
		"without hooks":                {snapshot: withoutHooks},
	} {
		t.Run(name, func(t *testing.T) {
			if frozen, held := frozenFor(&tc.snapshot.Status); frozen != tc.frozen || held != tc.held {
				t.Errorf("frozenFor() = %s, %t, want %s, %t", frozen, held, tc.frozen, tc.held)
			}
		})
	}
}

func TestSnapshotTableShowsWhatDidNotCome(t *testing.T) {
	heading := []string{"seconds", "asked", "freezing", "frozen", "cut", "thawing", "ready"}
	whole := cutAt(after(300), after(400))
	whole.Status.CutTime, whole.Status.ReadyTime = after(400), after(1300)
	withoutHooks := whole.DeepCopy()
	withoutHooks.Status.Freeze, withoutHooks.Status.ReadyTime = nil, nil
	for name, tc := range map[string]struct {
		snapshot *snapshotv1alpha1.ApplicationSnapshot
		want     []string
	}{
		"every moment":                {snapshot: whole, want: []string{"snap", "0.0", "0.1", "0.2", "0.4", "0.5", "1.3"}},
		"without hooks and not ready": {snapshot: withoutHooks, want: []string{"snap", "0.0", "-", "-", "0.4", "-", "-"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff([][]string{heading, tc.want}, snapshotTable(tc.snapshot, midday)); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}
