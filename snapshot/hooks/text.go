// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxOutput and maxError are the sizes of the fields, in bytes.
	maxOutput = 1024
	maxError  = 512
	// maxLine is how much of the last line of an output goes into a message.
	maxLine = 200
)

// clean gives what a status may have of what a program printed: valid UTF-8, without control characters.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r' || unicode.IsControl(r):
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return strings.TrimSpace(text)
}

// end gives the last bytes of an output.
func end(text string, limit int) string {
	text = clean(text)
	if len(text) <= limit {
		return text
	}
	text = text[len(text)-limit:]
	for text != "" && !utf8.RuneStart(text[0]) {
		text = text[1:]
	}
	return text
}

// start gives the first bytes of a message.
func start(text string, limit int) string {
	text = clean(text)
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// lastLine gives the last line of an output, where a program says why it failed.
func lastLine(text string) string {
	text = clean(text)
	return start(text[strings.LastIndexByte(text, '\n')+1:], maxLine)
}

// joined gives two texts, the second in a line of its own.
func joined(first, second string) string {
	return strings.Trim(first+"\n"+second, "\n")
}
