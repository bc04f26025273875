// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package tick

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// Delays are of all snapshots from when each was due, sorted.
type Delays struct {
	// Ready is how many can be restored. The times are of these.
	Ready int
	// Made is until the API server had the snapshot, in whole seconds. Started is until it was its turn, Cut until its
	// content was fixed, and Restorable until it could be restored.
	Made, Started, Cut, Restorable []time.Duration
	// Others say of those that are not ready what is wrong, the first few.
	Others []string
}

// mostOthers is how many of those that are not ready are told of.
const mostOthers = 5

// delaysOf compares the snapshots with when their schedules were due.
func delaysOf(snapshots []snapshotv1alpha1.ApplicationSnapshot, due map[types.NamespacedName]time.Time) Delays {
	var d Delays
	for i := range snapshots {
		snapshot := &snapshots[i]
		at, known := due[scheduleOf(snapshot)]
		status := &snapshot.Status
		if !known || status.Phase != snapshotv1alpha1.PhaseReady || status.StartTime == nil || status.CutTime == nil || status.ReadyTime == nil {
			if len(d.Others) < mostOthers {
				d.Others = append(d.Others, fmt.Sprintf("%s is %s: %s", client.ObjectKeyFromObject(snapshot), status.Phase, status.Message))
			}
			continue
		}
		d.Ready++
		d.Made = append(d.Made, max(snapshot.CreationTimestamp.Sub(at), 0))
		d.Started = append(d.Started, status.StartTime.Sub(at))
		d.Cut = append(d.Cut, status.CutTime.Sub(at))
		d.Restorable = append(d.Restorable, status.ReadyTime.Sub(at))
	}
	for _, times := range [][]time.Duration{d.Made, d.Started, d.Cut, d.Restorable} {
		slices.Sort(times)
	}
	return d
}

// scheduleOf is the schedule of a snapshot, which has the name of its one claim.
func scheduleOf(snapshot *snapshotv1alpha1.ApplicationSnapshot) types.NamespacedName {
	return types.NamespacedName{Namespace: snapshot.Namespace, Name: strings.Join(snapshot.Spec.ClaimNames, ",")}
}

// overOf is how many are ready or have failed.
func overOf(snapshots []snapshotv1alpha1.ApplicationSnapshot) int {
	over := 0
	for i := range snapshots {
		if phase := snapshots[i].Status.Phase; phase == snapshotv1alpha1.PhaseReady || phase == snapshotv1alpha1.PhaseFailed {
			over++
		}
	}
	return over
}

// quantile is the smallest of the sorted times that so much of them do not exceed.
func quantile(sorted []time.Duration, of float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	index := int(of*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(index, 0), len(sorted)-1)]
}
