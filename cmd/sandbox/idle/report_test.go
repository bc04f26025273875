// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package idle

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var began = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// readings are two minutes apart. In between there are 240 renewals, and as many writes beside them as are given.
func readings(writes int) (first, last reading) {
	first = reading{
		at: began, renewals: 7, cpu: time.Second,
		requests: map[request]int{{"PUT", "200"}: 1007, {"POST", "201"}: 1000, {"GET", "200"}: 20},
	}
	last = reading{
		at: began.Add(2 * time.Minute), renewals: 247, cpu: 4 * time.Second, resident: 200 << 20, heap: 100 << 20,
		requests: map[request]int{{"PUT", "200"}: 1247, {"POST", "201"}: 1000, {"GET", "200"}: 22, {"PATCH", "200"}: writes},
	}
	return first, last
}

func TestReport(t *testing.T) {
	first, last := readings(0)
	r := newReport(DefaultOptions(), first, last, 250<<20)
	want := `| idle with | |
|---|---|
| nodes, each with a StorageNode | 1000 |
| claims, each with its volume, topology of 3 replicas, attachment and pod | 10000 |
| watched for | 2m0s |
| **writes a minute, but for its Lease** | **0** |
| renewals of its Lease a minute | 120.0 |
| all requests a minute, by method and code | GET 200: 1.0, PUT 200: 120.0 |
| processor time | 2.5 % of one CPU |
| resident memory in the end | 200 MiB |
| resident memory at most | 250 MiB |
| Go heap in use in the end | 100 MiB |
`
	if diff := cmp.Diff(want, r.Markdown()); diff != "" {
		t.Errorf("Markdown (-want +got):\n%s", diff)
	}
	if broken := r.Broken(); len(broken) > 0 {
		t.Errorf("Broken() = %q, want nothing", broken)
	}
}

func TestReportOfAPromiseThatWasNotKept(t *testing.T) {
	for name, tc := range map[string]struct {
		arrange func(first, last *reading)
		want    string
	}{
		"one write": {
			arrange: func(_, last *reading) { last.requests[request{"PATCH", "200"}]++ },
			want:    "1 writes in 2m0s beside 240 renewals of the Lease, must be 0; all requests a minute: GET 200: 1.0, PATCH 200: 0.5, PUT 200: 120.0",
		},
		"a write of the same kind as the renewals": {
			arrange: func(_, last *reading) { last.requests[request{"PUT", "200"}]++ },
			want:    "1 writes in 2m0s",
		},
		"a write that failed": {
			arrange: func(_, last *reading) { last.requests[request{"PUT", "409"}]++ },
			want:    "PUT 409: 0.5",
		},
		"a manager that did not lead": {
			arrange: func(first, last *reading) { last.renewals, last.requests = first.renewals, first.requests },
			want:    "the manager did not lead",
		},
	} {
		t.Run(name, func(t *testing.T) {
			first, last := readings(0)
			tc.arrange(&first, &last)
			broken := newReport(DefaultOptions(), first, last, 0).Broken()
			if len(broken) != 1 || !strings.Contains(broken[0], tc.want) {
				t.Errorf("Broken() = %q, want %q", broken, tc.want)
			}
		})
	}
}
