// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"roost.dev/roost/apis/config"
)

func TestValidateStorageHealthArgs(t *testing.T) {
	tests := map[string]struct {
		args config.StorageHealthArgs
		want string
	}{
		"the least": {args: config.StorageHealthArgs{}},
		"the most": {args: config.StorageHealthArgs{
			RequireRegistration: true, DegradedPenalty: 100, StorageDownPenalty: 100, SuspectPenalty: 100,
		}},
		"a penalty that raises the score": {
			args: config.StorageHealthArgs{DegradedPenalty: -1},
			want: "args.degradedPenalty: Invalid value: -1: must be 0 to 100",
		},
		"a penalty of more than there is": {
			args: config.StorageHealthArgs{StorageDownPenalty: 101},
			want: "args.storageDownPenalty: Invalid value: 101: must be 0 to 100",
		},
		"everything at once: every error is told": {
			args: config.StorageHealthArgs{DegradedPenalty: 101, StorageDownPenalty: -1, SuspectPenalty: 1000},
			want: "[args.degradedPenalty: Invalid value: 101: must be 0 to 100, " +
				"args.storageDownPenalty: Invalid value: -1: must be 0 to 100, args.suspectPenalty: Invalid value: 1000: must be 0 to 100]",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := ValidateStorageHealthArgs(field.NewPath("args"), &tc.args).ToAggregate(); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("error = %q, want %q", got, tc.want)
			}
		})
	}
}
