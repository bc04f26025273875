// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package demo plays a story in a sandbox: the same pods on replicated volumes, under the stock scheduler and under Roost, and
// what Roost does when a node's storage fails.
//
// Input: a running sandbox with everything in it. Output: lines for a person, and how many steps held and did not. Every
// step checks what it claims against the API server's objects and against what simstorage saw. A step that fails does not
// keep the next from being tried, unless that builds on it.
package demo
