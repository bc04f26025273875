// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package tick

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// served is what a manager serves, shortened.
const served = `# HELP roost_snapshot_operations_waiting ApplicationSnapshots and SnapshotRestores that wait for their turn.
# TYPE roost_snapshot_operations_waiting gauge
roost_snapshot_operations_in_flight{kind="snapshot",provisioner="a.example.com"} 7
roost_snapshot_operations_in_flight{kind="snapshot",provisioner="b.example.com"} 2
roost_snapshot_operations_in_flight{kind="restore",provisioner="a.example.com"} 100
roost_snapshot_operations_waiting{kind="snapshot"} 40
roost_snapshot_operations_waiting{kind="restore"} 1000
process_cpu_seconds_total 1.5
process_resident_memory_bytes 1.048576e+08
`

func TestParse(t *testing.T) {
	got, err := parse(strings.NewReader(served))
	if err != nil {
		t.Fatal(err)
	}
	want := reading{cutting: 9, waiting: 40, cpu: 1500 * time.Millisecond, resident: 100 << 20}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(reading{})); diff != "" {
		t.Errorf("reading (-want +got):\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"a manager without the loop of snapshots": {
			text: strings.ReplaceAll(served, "operations_waiting", "operations"), want: "there is no roost_snapshot_operations_waiting",
		},
		"metrics without those of the process": {
			text: strings.ReplaceAll(served, "process_resident", "processes_resident"), want: "there is no process_resident_memory_bytes",
		},
		"a value that is no number": {text: "process_cpu_seconds_total much\n", want: "process_cpu_seconds_total"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(strings.NewReader(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("parse() = %v, want an error that contains %q", err, tc.want)
			}
		})
	}
}

func TestRead(t *testing.T) {
	status := http.StatusOK
	manager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, served)
	}))
	defer manager.Close()
	if got, err := read(t.Context(), manager.URL); err != nil || got.cutting != 9 {
		t.Errorf("read() = %+v, %v, want 9 that are being cut", got, err)
	}
	status = http.StatusForbidden
	if _, err := read(t.Context(), manager.URL); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("read() = %v, want an error that names the status", err)
	}
}

func TestPeaks(t *testing.T) {
	p := &peaks{}
	p.take(reading{cutting: 3, waiting: 1, resident: 10})
	p.take(reading{cutting: 1, waiting: 9, resident: 5})
	if want := (peaks{cutting: 3, waiting: 9, resident: 10}); *p != want {
		t.Errorf("peaks are %+v, want %+v", *p, want)
	}
}
