// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package idle

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// served is what a manager serves, shortened.
const served = `# HELP rest_client_requests_total Number of HTTP requests, partitioned by status code, method, and host.
# TYPE rest_client_requests_total counter
rest_client_requests_total{code="200",host="127.0.0.1:1",method="GET"} 12
rest_client_requests_total{code="200",host="127.0.0.1:2",method="GET"} 1
rest_client_requests_total{code="200",host="127.0.0.1:1",method="PUT"} 9
rest_client_requests_total{code="<error>",host="127.0.0.1:1",method="PUT"} 1
rest_client_requests_total{code="201",host="127.0.0.1:1",method="POST"} 3
roost_storagehealth_nodes{provisioner="a.example.com",state="Healthy"} 6
roost_storagehealth_nodes{provisioner="a.example.com",state="Suspect"} 1
process_cpu_seconds_total 1.5
process_resident_memory_bytes 1.048576e+08
go_memstats_heap_inuse_bytes 5.24288e+07
`

func TestParse(t *testing.T) {
	got, err := parse(strings.NewReader(served))
	if err != nil {
		t.Fatal(err)
	}
	want := reading{
		requests: map[request]int{
			{"GET", "200"}: 13, {"PUT", "200"}: 9, {"PUT", "<error>"}: 1, {"POST", "201"}: 3,
		},
		storageNodes: 7, cpu: 1500 * time.Millisecond, resident: 100 << 20, heap: 50 << 20,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(reading{}, request{})); diff != "" {
		t.Errorf("reading (-want +got):\n%s", diff)
	}
	got.renewals = 4
	if writes := got.writes(); writes != 9 {
		t.Errorf("writes() = %d, want 9: all but the reads and the renewals, also one that failed", writes)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"metrics without those of the client": {
			text: strings.ReplaceAll(served, "rest_client", "other_client"),
			want: "there is no rest_client_requests_total",
		},
		"metrics without those of the process": {
			text: strings.ReplaceAll(served, "process_resident", "processes_resident"),
			want: "there is no process_resident_memory_bytes",
		},
		"a value that is no number": {text: "process_cpu_seconds_total much\n", want: "process_cpu_seconds_total"},
		"nothing":                   {want: "there is no"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(strings.NewReader(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("parse() = %v, want an error that contains %q", err, tc.want)
			}
		})
	}
}
