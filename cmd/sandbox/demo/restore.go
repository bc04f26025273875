// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/cmd/sandbox/workload"
	"roost.dev/roost/internal/sandbox"
)

// lookSuffix is behind the names of the claims that are restored beside the shop's.
const lookSuffix = "-look"

// look restores the snapshot into new claims, and reads what was cut. The shop is left as it is.
func (s *story) look(ctx context.Context) error {
	if err := s.writeOrders(ctx, noOrders); err != nil {
		return err
	}
	s.screen.Line("  An upgrade goes wrong: the volumes hold %q now.", noOrders)
	start := clock.RealClock{}.Now()
	object := shopRestore("look", snapshotv1alpha1.SnapshotRestoreSpec{NewClaims: &snapshotv1alpha1.NewClaims{Suffix: lookSuffix}})
	if err := s.client.Create(ctx, object); err != nil {
		return fmt.Errorf("creating SnapshotRestore %s: %w", object.Name, err)
	}
	if err := s.waitForRestore(ctx, object, snapshotv1alpha1.RestoreCompleted); err != nil {
		return err
	}
	s.showRestore(object)
	claims := shopClaims()
	for i := range claims {
		claims[i] += lookSuffix
	}
	nodes, err := s.use(ctx, claims)
	if err != nil {
		return err
	}
	took := clock.RealClock{}.Since(start)
	if err := s.judgeLook(ctx, claims, took); err != nil {
		return err
	}
	return s.judgeNearness(ctx, claims, nodes)
}

// judgeLook reads the new claims and the old ones.
func (s *story) judgeLook(ctx context.Context, claims []string, took time.Duration) error {
	old, err := s.hold(ctx, claims, ordersFile, orders)
	if err != nil {
		return err
	}
	marked, err := s.hold(ctx, claims, markFile, mark)
	if err != nil {
		return err
	}
	untouched, err := s.hold(ctx, shopClaims(), ordersFile, noOrders)
	if err != nil {
		return err
	}
	s.verdict(old && untouched, "after %s pods run with %s, which hold %q", seconds(took), listed(claims), orders)
	s.verdict(marked, "they hold the mark as well: the cut lay in the freeze")
	return nil
}

// judgeNearness says whether the pods are on nodes with the data that their claims are restored from, and so with their own.
func (s *story) judgeNearness(ctx context.Context, claims, nodes []string) error {
	volumes, err := s.workloadIn(shopNamespace).Volumes(ctx)
	if err != nil {
		return err
	}
	near := 0
	for i, claim := range claims {
		source := strings.TrimSuffix(claim, lookSuffix)
		if slices.Contains(volumes[source].Nodes, nodes[i]) && slices.Contains(volumes[claim].Nodes, nodes[i]) {
			near++
		}
	}
	s.verdict(near == len(claims), "%d of %d pods on a node with the data that was snapshot, and with their own", near, len(claims))
	return nil
}

// shopRestore restores the snapshot of the shop.
func shopRestore(name string, spec snapshotv1alpha1.SnapshotRestoreSpec) *snapshotv1alpha1.SnapshotRestore {
	spec.Source = snapshotv1alpha1.SnapshotSource{Name: snapshotName}
	return &snapshotv1alpha1.SnapshotRestore{ObjectMeta: metav1.ObjectMeta{Namespace: shopNamespace, Name: name}, Spec: spec}
}

// waitForRestore waits until the restore is in the phase that is wanted.
func (s *story) waitForRestore(ctx context.Context, object *snapshotv1alpha1.SnapshotRestore, want snapshotv1alpha1.RestorePhase) error {
	err := s.poll(ctx, func(ctx context.Context) (bool, error) {
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return false, fmt.Errorf("reading it: %w", err)
		}
		s.screen.Progress("%s is %s: %s", object.Name, object.Status.Phase, object.Status.Message)
		if object.Status.Phase == snapshotv1alpha1.RestoreFailed {
			return false, fmt.Errorf("it failed: %s", object.Status.Message)
		}
		return object.Status.Phase == want, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for restore %s to be %s: %w", object.Name, want, err)
	}
	return nil
}

// use has a pod use each claim, waits until they run, and returns their nodes.
func (s *story) use(ctx context.Context, claims []string) ([]string, error) {
	var pods []*corev1.Pod
	for _, claim := range claims {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: shopNamespace, Name: "uses-" + claim},
			Spec:       workload.PodSpec(sandbox.SchedulerName),
		}
		pod.Spec.Volumes = []corev1.Volume{{
			Name:         pod.Spec.Containers[0].VolumeMounts[0].Name,
			VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}},
		}}
		if err := s.client.Create(ctx, pod); err != nil {
			return nil, fmt.Errorf("creating pod %s: %w", pod.Name, err)
		}
		pods = append(pods, pod)
	}
	nodes := make([]string, len(pods))
	for i, pod := range pods {
		err := s.poll(ctx, func(ctx context.Context) (bool, error) {
			s.screen.Progress("waiting for %s to run", pod.Name)
			err := s.client.Get(ctx, client.ObjectKeyFromObject(pod), pod)
			return err == nil && pod.Status.Phase == corev1.PodRunning, err
		})
		if err != nil {
			return nil, fmt.Errorf("waiting for pod %s to run: %w", pod.Name, err)
		}
		nodes[i] = pod.Spec.NodeName
	}
	return nodes, nil
}

// showRestore shows what an operator looks at.
func (s *story) showRestore(object *snapshotv1alpha1.SnapshotRestore) {
	s.screen.Line("  kubectl get snapshotrestores says:")
	s.screen.Table(restoreColumns(object, clock.RealClock{}.Now()))
	s.screen.Line("%s", wrapped(object.Status.Message, 90, "  "))
}
