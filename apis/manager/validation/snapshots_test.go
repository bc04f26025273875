// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"testing"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
)

func TestSnapshotsThatAreWrong(t *testing.T) {
	tests := map[string]struct {
		change func(*managerv1alpha1.Snapshots)
		want   []string
	}{
		"requests": {
			change: func(s *managerv1alpha1.Snapshots) { s.QPS, s.Burst = 0.5, -1 },
			want:   []string{"snapshots.qps: Invalid value: 0.5: must be at least 1", "snapshots.burst: Invalid value: -1: must be at least 1"},
		},
		"workers": {
			change: func(s *managerv1alpha1.Snapshots) { s.Workers = 1001 },
			want:   []string{"snapshots.workers: Invalid value: 1001: must be 1 to 1000"},
		},
		// With a limit below 1 nothing would ever be let through.
		"limits": {
			change: func(s *managerv1alpha1.Snapshots) {
				s.MaxSnapshots.PerDriver, s.MaxSnapshots.Cluster, s.MaxRestores.PerNamespace = -1, -2, -3
			},
			want: []string{
				"snapshots.maxSnapshots.perDriver: Invalid value: -1: must be at least 1",
				"snapshots.maxSnapshots.cluster: Invalid value: -2: must be at least 1",
				"snapshots.maxRestores.perNamespace: Invalid value: -3: must be at least 1",
			},
		},
		"the search for orphans": {
			change: func(s *managerv1alpha1.Snapshots) { s.OrphanPeriod = duration(1) },
			want:   []string{`snapshots.orphanPeriod: Invalid value: "1ns": must be at least 1s`},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			expect(t, tc.want, messages(func(c *managerv1alpha1.ControllerManagerConfiguration) { tc.change(&c.Snapshots) }))
		})
	}
}
