// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"strings"
	"testing"
)

func TestBenchIdleTellsWhatIsWrong(t *testing.T) {
	empty := t.TempDir()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"a flag's value":                   {args: []string{"--for=1s"}, want: "--for is 1s, must be between 10s and 20m"},
		"two flags' values":                {args: []string{"--nodes=1", "--claims=0"}, want: "--claims is 0"},
		"programs that were not built":     {want: "k8s/kube-apiserver"},
		"an argument where none is wanted": {args: []string{"longer"}, want: `unknown command "longer"`},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			args := append([]string{"bench-idle", "--bin=" + empty}, tc.args...)
			if code := Run(t.Context(), args, &out, &errOut); code != 1 {
				t.Errorf("exit code is %d, want 1", code)
			}
			if got := errOut.String(); !strings.Contains(got, tc.want) {
				t.Errorf("error output is %q, want it to contain %q", got, tc.want)
			}
		})
	}
}
