// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/cmd/sandbox/workload"
)

const (
	snapshotName = "before-upgrade"
	// markFile is in a volume of the shop while its pod is frozen, and only then.
	markFile = "frozen"
	mark     = "frozen for the cut"
)

// snapshot takes a snapshot of the shop, which is frozen meanwhile.
func (s *story) snapshot(ctx context.Context) error {
	if err := s.openShop(ctx); err != nil {
		return err
	}
	s.screen.Line("  %d pods hold %q. Freezing puts a mark into their volumes, thawing takes it away.", shopPods, orders)
	asked := clock.RealClock{}.Now()
	object := shopSnapshot()
	if err := s.client.Create(ctx, object); err != nil {
		return fmt.Errorf("creating ApplicationSnapshot %s: %w", object.Name, err)
	}
	if err := s.waitForSnapshot(ctx, object); err != nil {
		return err
	}
	s.screen.Table(snapshotTable(object, asked))
	if err := s.judgeSnapshot(ctx, object, asked); err != nil {
		return err
	}
	s.screen.Line("  kubectl get applicationsnapshots says:")
	s.screen.Table(snapshotColumns(object, clock.RealClock{}.Now()))
	return nil
}

// judgeSnapshot says whether the claims were cut while their pods were frozen, and the pods write again.
func (s *story) judgeSnapshot(ctx context.Context, object *snapshotv1alpha1.ApplicationSnapshot, asked time.Time) error {
	thawed, err := s.hold(ctx, shopClaims(), markFile, "")
	if err != nil {
		return err
	}
	status := &object.Status
	frozen, held := frozenFor(status)
	s.verdict(status.Ready == fmt.Sprintf("%d/%d", shopPods, shopPods) && status.Consistency == snapshotv1alpha1.ConsistencyApplication,
		"it can be restored after %s, and is worth %s", seconds(status.ReadyTime.Sub(asked)), status.Consistency)
	s.verdict(held && thawed, "every claim was cut in the %s that the pods were frozen for, and no mark is left", seconds(frozen))
	return nil
}

// shopSnapshot freezes the shop's pods around the cut. The commands run in the pods, where each volume is a directory.
func shopSnapshot() *snapshotv1alpha1.ApplicationSnapshot {
	return &snapshotv1alpha1.ApplicationSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: shopNamespace, Name: snapshotName},
		Spec: snapshotv1alpha1.ApplicationSnapshotSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": workload.Name}},
			Hooks: &snapshotv1alpha1.Hooks{Commands: []snapshotv1alpha1.Hook{{
				Name:   "hold",
				Freeze: []string{"sh", "-c", "echo " + mark + " > data/" + markFile},
				Thaw:   []string{"rm", "-f", "data/" + markFile},
			}}},
		},
	}
}

// waitForSnapshot waits until the snapshot can be restored.
func (s *story) waitForSnapshot(ctx context.Context, object *snapshotv1alpha1.ApplicationSnapshot) error {
	err := s.poll(ctx, func(ctx context.Context) (bool, error) {
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return false, fmt.Errorf("reading it: %w", err)
		}
		s.screen.Progress("%s is %s", object.Name, object.Status.Phase)
		if object.Status.Phase == snapshotv1alpha1.PhaseFailed {
			return false, fmt.Errorf("it failed: %s", object.Status.Message)
		}
		return object.Status.Phase == snapshotv1alpha1.PhaseReady && object.Status.ReadyTime != nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for snapshot %s to be ready: %w", object.Name, err)
	}
	return nil
}

// snapshotTable has the moments of a snapshot, in seconds since it was asked for.
func snapshotTable(object *snapshotv1alpha1.ApplicationSnapshot, asked time.Time) [][]string {
	status := &object.Status
	moments := []*metav1.MicroTime{{Time: asked}, nil, nil, status.CutTime, nil, status.ReadyTime}
	if freeze := status.Freeze; freeze != nil {
		moments[1], moments[2], moments[4] = &freeze.StartTime, freeze.FrozenTime, freeze.ThawTime
	}
	row := []string{object.Name}
	for _, moment := range moments {
		cell := "-"
		if moment != nil {
			cell = fmt.Sprintf("%.1f", moment.Sub(asked).Seconds())
		}
		row = append(row, cell)
	}
	return [][]string{{"seconds", "asked", "freezing", "frozen", "cut", "thawing", "ready"}, row}
}

// frozenFor is how long pods were frozen, and whether every claim was cut meanwhile.
func frozenFor(status *snapshotv1alpha1.ApplicationSnapshotStatus) (time.Duration, bool) {
	freeze := status.Freeze
	if freeze == nil || freeze.FrozenTime == nil || freeze.ThawTime == nil || len(status.Members) != shopPods {
		return 0, false
	}
	held := true
	for i := range status.Members {
		cut := status.Members[i].CutTime
		held = held && cut != nil && cut.After(freeze.FrozenTime.Time) && cut.Time.Before(freeze.ThawTime.Time)
	}
	return freeze.ThawTime.Sub(freeze.StartTime.Time), held
}
