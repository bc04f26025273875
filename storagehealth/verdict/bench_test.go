// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"testing"

	clocktesting "k8s.io/utils/clock/testing"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
)

// newLargeBoard tracks nodes of ten storage systems; one in a hundred is bad.
func newLargeBoard(nodes int) (*Board, *clocktesting.FakePassiveClock) {
	reports := &storage{reports: map[Key]drivers.NodeReport{}}
	clock := clocktesting.NewFakePassiveClock(start)
	b := NewBoard(Options{Reporter: reports, Policy: testPolicy, Clock: clock})
	for i := range nodes {
		key := Key{Provisioner: fmt.Sprintf("csi-%d.example.com", i%10), Node: fmt.Sprintf("node-%05d", i/10)}
		state := drivers.Online
		if i/10%100 == 0 {
			state = drivers.Offline
		}
		reports.say(key, state, "")
		b.Track(key, false, storagev1alpha1.StorageNodeStatus{})
	}
	for range 10 {
		b.Evaluate()
		clock.SetTime(clock.Now().Add(testPolicy.ReportPeriod))
	}
	return b, clock
}

func TestIdleEvaluateAllocatesNothing(t *testing.T) {
	b, clock := newLargeBoard(1000)
	allocs := testing.AllocsPerRun(100, func() {
		clock.SetTime(clock.Now().Add(testPolicy.ReportPeriod))
		b.Evaluate()
	})
	if allocs != 0 {
		t.Errorf("Evaluate allocates %v times, want 0", allocs)
	}
}

func BenchmarkEvaluate(b *testing.B) {
	board, clock := newLargeBoard(10000)
	b.ReportAllocs()
	for b.Loop() {
		clock.SetTime(clock.Now().Add(testPolicy.ReportPeriod))
		board.Evaluate()
	}
}

func BenchmarkMayMove(b *testing.B) {
	board, _ := newLargeBoard(10000)
	key := Key{Provisioner: "csi-0.example.com", Node: "node-00000"}
	if brake, ok := board.MayMove(key); !ok {
		b.Fatalf("no pod may be moved: %+v", brake)
	}
	b.ReportAllocs()
	for b.Loop() {
		board.MayMove(key)
	}
}
