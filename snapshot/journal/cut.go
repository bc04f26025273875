// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import "unicode/utf8"

// more stands where a text goes on.
const more = "…"

// Cut is as much of a text as a field of limit bytes holds, whole characters, with a mark where it goes on. A limit is at
// least as long as the mark.
func Cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit - len(more)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + more
}
