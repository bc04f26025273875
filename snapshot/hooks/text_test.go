// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEndAndStart(t *testing.T) {
	for name, tc := range map[string]struct {
		text, end, start string
	}{
		"short":                               {text: "ok\n", end: "ok", start: "ok"},
		"long":                                {text: "0123456789", end: "23456789", start: "01234567"},
		"a rune across the edge of the end":   {text: "ää1234567", end: "1234567", start: "ää1234"},
		"a rune across the edge of the start": {text: "1234567ä", end: "234567ä", start: "1234567"},
		"not UTF-8":                           {text: "a\xff\xfeb", end: "a\uFFFDb", start: "a\uFFFDb"},
		"control characters":                  {text: "\x1b[1ma\r\x00\u0085b\n\tc", end: "[1mab\n\tc", start: "[1mab\n\tc"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := end(tc.text, 8); got != tc.end {
				t.Errorf("end %q, want %q", got, tc.end)
			}
			if got := start(tc.text, 8); got != tc.start {
				t.Errorf("start %q, want %q", got, tc.start)
			}
		})
	}
}

func FuzzEnd(f *testing.F) {
	f.Add("ä\xffü\x00", 3)
	f.Add(strings.Repeat("€", 9), 10)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if limit < 0 || limit > 2000 {
			return
		}
		for _, got := range []string{end(text, limit), start(text, limit)} {
			if len(got) > limit || !utf8.ValidString(got) {
				t.Errorf("%q", got)
			}
		}
	})
}
