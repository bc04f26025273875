// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package tick

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func report() *Report {
	seconds := []time.Duration{time.Second, 3 * time.Second}
	return &Report{
		Options: Options{Claims: 2, Namespaces: 1, Jitter: 10 * time.Minute, QPS: 50},
		Delays:  Delays{Ready: 2, Made: seconds, Started: seconds, Cut: seconds, Restorable: seconds},
		Lasted:  100 * time.Second, CPU: 5 * time.Second, Resident: 80 << 20, Cutting: 2, Waiting: 1, Open: 16,
		calls: map[call]int{
			{"get", "applicationsnapshots", 200}: 4, {"list", "resourcequotas", 200}: 2, {"create", "volumesnapshots", 201}: 2,
			{"update", "applicationsnapshots/status", 200}: 5, {"update", "applicationsnapshots/status", 409}: 1,
		},
	}
}

func TestReport(t *testing.T) {
	r := report()
	want := strings.ReplaceAll(`| 2 snapshots due at once | |
|---|---|
| claims, each with a schedule of its own | 2 in 1 namespaces |
| jitter | 10m0s |
| 'snapshots.qps' of the manager | 50 |
| **ready** | **2** |
| until the manager was at rest again | 1m40s |
| **requests of the manager a snapshot** | **3.00 reads, 4.00 writes** |
| requests a second, all in all | 0.1 |
| requests without an answer at a time, at most | 16 |
| **claims being cut at a time, at most** | **2** |
| snapshots that wait for their turn, at most | 1 |
| processor time of the manager | 5.0 s, 5 % of one CPU |
| its resident memory at most | 80 MiB |

| seconds from when it was due until | median | p90 | p99 | worst |
|---|---|---|---|---|
| the snapshot is there, in whole seconds | 1.0 | 3.0 | 3.0 | 3.0 |
| **it is its turn** | 1.0 | 3.0 | 3.0 | 3.0 |
| it is cut | 1.0 | 3.0 | 3.0 | 3.0 |
| it can be restored | 1.0 | 3.0 | 3.0 | 3.0 |

| request of the manager | a snapshot | in all |
|---|---|---|
| update applicationsnapshots/status | 2.50 | 5 |
| get applicationsnapshots | 2.00 | 4 |
| create volumesnapshots | 1.00 | 2 |
| list resourcequotas | 1.00 | 2 |
| update applicationsnapshots/status, refused with 409 | 0.50 | 1 |
`, "'", "`")
	if diff := cmp.Diff(want, r.Markdown()); diff != "" {
		t.Errorf("Markdown (-want +got):\n%s", diff)
	}
	if broken := r.Broken(); len(broken) > 0 {
		t.Errorf("Broken() = %q, want nothing", broken)
	}
}

func TestReportOfSnapshotsThatAreNotReady(t *testing.T) {
	r := report()
	r.Ready, r.Others = 1, []string{"db/a is Failed: the pool is full"}
	broken := r.Broken()
	if len(broken) != 2 || !strings.Contains(broken[0], "1 of 2 snapshots are ready, must be all") || broken[1] != r.Others[0] {
		t.Errorf("Broken() = %q, want how many, and which", broken)
	}
}
