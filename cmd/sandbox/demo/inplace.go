// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// inPlace brings the shop's orders back under the claims that its pods know, and undoes that.
func (s *story) inPlace(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	before, err := s.shopVolumes(ctx)
	if err != nil {
		return err
	}
	object := shopRestore("back", snapshotv1alpha1.SnapshotRestoreSpec{InPlace: &snapshotv1alpha1.InPlace{}})
	followed, err := s.followPhases(ctx, object.Name)
	if err != nil {
		return err
	}
	start := clock.RealClock{}.Now()
	if err := s.client.Create(ctx, object); err != nil {
		return fmt.Errorf("creating SnapshotRestore %s: %w", object.Name, err)
	}
	if err := s.waitForShop(ctx, object, followed, snapshotv1alpha1.RestoreCompleted); err != nil {
		return err
	}
	took, down := clock.RealClock{}.Since(start), clock.RealClock{}.Since(followed.beginOf(snapshotv1alpha1.RestoreStopping))
	s.screen.Table(followed.table(object.Name))
	back, err := s.hold(ctx, shopClaims(), ordersFile, orders)
	if err != nil {
		return err
	}
	after, err := s.shopVolumes(ctx)
	if err != nil {
		return err
	}
	s.verdict(back && allDiffer(before, after), "after %s pods run with the same claims, which hold %q; they were down for %s",
		seconds(took), orders, seconds(down))
	if err := s.judgeShop(ctx); err != nil {
		return err
	}
	s.showRestore(object)
	return s.rollBack(ctx, object, followed, before)
}

// rollBack undoes a restore in place: the claims have the volumes again that they had before it.
func (s *story) rollBack(ctx context.Context, object *snapshotv1alpha1.SnapshotRestore, followed *phases, before []string) error {
	start := clock.RealClock{}.Now()
	if err := s.client.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"rollback":true}}`))); err != nil {
		return fmt.Errorf("asking for the rollback of %s: %w", object.Name, err)
	}
	if err := s.waitForShop(ctx, object, followed, snapshotv1alpha1.RestoreRolledBack); err != nil {
		return err
	}
	took := clock.RealClock{}.Since(start)
	gone, err := s.hold(ctx, shopClaims(), ordersFile, noOrders)
	if err != nil {
		return err
	}
	after, err := s.shopVolumes(ctx)
	if err != nil {
		return err
	}
	s.verdict(gone && slices.Equal(before, after), "rollback: after %s they run on their old volumes, which hold %q", seconds(took), noOrders)
	return nil
}

// shopVolumes are the volumes of the shop's claims.
func (s *story) shopVolumes(ctx context.Context) ([]string, error) {
	volumes, err := s.workloadIn(shopNamespace).Volumes(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, claim := range shopClaims() {
		names = append(names, volumes[claim].Name)
	}
	return names, nil
}

// waitForShop waits until the restore is in the phase that is wanted, and the shop's pods run again.
func (s *story) waitForShop(
	ctx context.Context, object *snapshotv1alpha1.SnapshotRestore, followed *phases, want snapshotv1alpha1.RestorePhase,
) error {
	if err := s.waitForRestore(ctx, object, want); err != nil {
		return err
	}
	if err := s.waitForRunning(ctx, shopNamespace, shopPods, nil, "the shop"); err != nil {
		return err
	}
	// A watch may be a moment behind.
	err := s.poll(ctx, func(context.Context) (bool, error) { return !followed.beginOf(want).IsZero(), nil })
	if err != nil {
		return fmt.Errorf("restore %s is %s, but the watch did not show it: %w", object.Name, want, err)
	}
	return nil
}

// judgeShop says whether the pods are where their volumes are, which are others than before.
func (s *story) judgeShop(ctx context.Context) error {
	tally, err := s.tally(ctx, shopNamespace)
	if err != nil {
		return err
	}
	s.verdict(tally[OnData] == shopPods, "%d of %d pods on a node with their data", tally[OnData], shopPods)
	return nil
}

// allDiffer says that no volume is what it was.
func allDiffer(before, after []string) bool {
	if len(before) != len(after) {
		return false
	}
	for i := range before {
		if after[i] == "" || after[i] == before[i] {
			return false
		}
	}
	return true
}
