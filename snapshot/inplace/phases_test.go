// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package inplace

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	storagev1 "k8s.io/api/storage/v1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// counted are the samples of a metric, by the label that matters.
func (w *world) counted(name, label string) map[string]float64 {
	w.t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(w.reconciler.Metrics, w.reconciler.Phases)
	families, err := registry.Gather()
	w.must(err)
	found := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, pair := range metric.GetLabel() {
				if pair.GetName() == label {
					found[pair.GetValue()] = metric.GetCounter().GetValue() + metric.GetHistogram().GetSampleSum()
				}
			}
		}
	}
	return found
}

func TestMetrics(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.noProvisioner = true
	w.ask()
	w.rounds(2)
	w.clock.Step(10 * time.Second)
	w.noProvisioner, w.stuckSnapshots = false, true
	w.settle()
	w.until("securing", w.phase(snapshotv1alpha1.RestoreSecuring))
	w.clock.Step(5 * time.Second)
	w.stuckSnapshots = false
	w.settle()
	w.until("completed", w.phase(snapshotv1alpha1.RestoreCompleted))
	w.askRollback()
	w.until("rolled back", w.phase(snapshotv1alpha1.RestoreRolledBack))

	if diff := cmp.Diff(map[string]float64{"Completed": 1, "RolledBack": 1}, w.counted("roost_snapshot_restores_total", "result")); diff != "" {
		t.Errorf("restores (-want +got):\n%s", diff)
	}
	seconds := w.counted("roost_snapshot_restore_phase_duration_seconds", "phase")
	if seconds["Populating"] != 10 || seconds["Securing"] != 5 {
		t.Errorf("seconds are %v, want 10 of Populating and 5 of Securing", seconds)
	}
}

// TestNewClaimsAreNotItsBusiness leaves the other kind of restore to whoever looks after it.
func TestNewClaimsAreNotItsBusiness(t *testing.T) {
	w := newWorld(t, storagev1.VolumeBindingImmediate)
	w.ask(func(r *snapshotv1alpha1.SnapshotRestore) {
		r.Spec.InPlace, r.Spec.NewClaims = nil, &snapshotv1alpha1.NewClaims{Suffix: "-copy"}
	})
	w.rounds(2)
	if w.writes != 0 || len(w.restore().Finalizers) != 0 {
		t.Errorf("%d writes, finalizers %v, want none", w.writes, w.restore().Finalizers)
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("made of nothing")
	}
}
