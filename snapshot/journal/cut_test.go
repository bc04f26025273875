// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import "testing"

func TestCut(t *testing.T) {
	for name, tc := range map[string]struct {
		text  string
		limit int
		want  string
	}{
		"a text that fits":                     {text: "quota", limit: 5, want: "quota"},
		"a byte too many":                      {text: "quotas", limit: 5, want: "qu…"},
		"a character that would be cut in two": {text: "müde Leute", limit: 5, want: "m…"},
		"nothing but the mark has room":        {text: "quota", limit: 3, want: "…"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Cut(tc.text, tc.limit); got != tc.want || len(got) > tc.limit {
				t.Errorf("Cut(%q, %d) = %q of %d bytes, want %q", tc.text, tc.limit, got, len(got), tc.want)
			}
		})
	}
}
