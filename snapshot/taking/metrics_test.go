// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package taking

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/snapshottest"
)

func TestMetrics(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*snapshotv1alpha1.ApplicationSnapshotSpec)
		script snapshottest.Script
		want   string
	}{
		"ready": {script: snapshottest.Script{Cut: time.Second, Ready: 2 * time.Second}, want: `roost_snapshot_snapshots_total{mode="Sequential",provisioner="csi.example.com",result="Ready"} 1
`},
		"failed": {script: snapshottest.Script{Cut: snapshottest.Never}, want: `roost_snapshot_snapshots_total{mode="Sequential",provisioner="csi.example.com",result="CutDeadlineExceeded"} 1
`},
		"ready, with hooks": {change: withHooks, want: `roost_snapshot_snapshots_total{mode="Sequential",provisioner="csi.example.com",result="Ready"} 1
`},
		"never begun": {change: func(spec *snapshotv1alpha1.ApplicationSnapshotSpec) { spec.ClaimNames = []string{"ghost"} }, want: `roost_snapshot_snapshots_total{mode="Sequential",provisioner="none",result="ClaimNotFound"} 1
`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.controller.Default = tc.script
			w.take(tc.change)
			w.pass(40 * time.Second)
			help := `
# HELP roost_snapshot_snapshots_total ApplicationSnapshots that ended, by CSI driver (several, none), mode and result: Ready, or the reason of the failure.
# TYPE roost_snapshot_snapshots_total counter
`
			err := testutil.CollectAndCompare(w.r.Metrics, strings.NewReader(help+tc.want), "roost_snapshot_snapshots_total")
			if err != nil {
				t.Error(err)
			}
			if problems, err := testutil.CollectAndLint(w.r.Metrics); err != nil || len(problems) > 0 {
				t.Errorf("problems %v, error %v", problems, err)
			}
		})
	}
}
