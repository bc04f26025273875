// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package console writes for a person: short, aligned lines, with colours and a moving last line where there is a terminal,
// and plain lines elsewhere.
//
// Input: what to say. Output: text on one writer. What is written without a terminal has no escape sequences and no carriage
// returns, and NO_COLOR is honoured. It is for one goroutine.
package console
