// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import "testing"

func TestAllDiffer(t *testing.T) {
	for name, tc := range map[string]struct {
		before, after []string
		want          bool
	}{
		"other volumes":             {before: []string{"a", "b"}, after: []string{"c", "d"}, want: true},
		"one is the same":           {before: []string{"a", "b"}, after: []string{"c", "b"}},
		"one has none":              {before: []string{"a", "b"}, after: []string{"c", ""}},
		"one is missing altogether": {before: []string{"a", "b"}, after: []string{"c"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := allDiffer(tc.before, tc.after); got != tc.want {
				t.Errorf("allDiffer() = %t, want %t", got, tc.want)
			}
		})
	}
}
