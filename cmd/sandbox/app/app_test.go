// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"strings"
	"testing"
)

func TestRunTellsWhatIsWrong(t *testing.T) {
	empty := t.TempDir()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"programs that were not built": {
			args: []string{"up", "--bin=" + empty},
			want: "`make build` makes them",
		},
		"racks that do not fit into the zones": {
			args: []string{"up", "--bin=" + empty, "--racks=4", "--zones=3"},
			want: "4 racks in 3 zones, must be a multiple",
		},
		"the demo without programs": {
			args: []string{"demo", "--bin=" + empty},
			want: "k8s/kube-apiserver",
		},
		"the benchmark without programs": {
			args: []string{"bench-failover", "--bin=" + empty},
			want: "k8s/kube-apiserver",
		},
		"a benchmark of more nodes than there are": {
			args: []string{"bench-failover", "--bin=" + empty, "--alone=50"},
			want: "--alone is 50, must be at most 10",
		},
		"a flag that does not exist": {
			args: []string{"up", "--pods=7"},
			want: "unknown flag: --pods",
		},
		"an argument too many": {
			args: []string{"demo", "faster"},
			want: `unknown command "faster"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			if code := Run(t.Context(), tc.args, &out, &errOut); code != 1 {
				t.Errorf("exit code is %d, want 1", code)
			}
			if got := errOut.String(); !strings.HasPrefix(got, "sandbox: ") || !strings.Contains(got, tc.want) {
				t.Errorf("error output is %q, want it to contain %q", got, tc.want)
			}
		})
	}
}
