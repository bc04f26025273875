// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"strings"
	"testing"
)

func TestBenchSnapshotsTellsWhatIsWrong(t *testing.T) {
	empty := t.TempDir()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"a flag's value":                   {args: []string{"--jitter=2h"}, want: "--jitter is 2h0m0s, must be between 0s and 1h"},
		"two flags' values":                {args: []string{"--namespaces=0", "--claims=0"}, want: "--claims is 0"},
		"programs that were not built":     {want: "k8s/kube-apiserver"},
		"an argument where none is wanted": {args: []string{"more"}, want: `unknown command "more"`},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			args := append([]string{"bench-snapshots", "--bin=" + empty}, tc.args...)
			if code := Run(t.Context(), args, &out, &errOut); code != 1 {
				t.Errorf("exit code is %d, want 1", code)
			}
			if got := errOut.String(); !strings.Contains(got, tc.want) {
				t.Errorf("error output is %q, want it to contain %q", got, tc.want)
			}
		})
	}
}
