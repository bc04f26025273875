// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package demo plays a story in a sandbox: the same pods on replicated volumes, under the stock scheduler and under Roost,
// what Roost does when a node's storage fails, and how it brings back what an application had.
//
// Input: a running sandbox with everything in it. Output: lines for a person, and how many steps held and did not. Every
// step checks what it claims against the API server's objects, what simstorage saw, and what the volumes hold. A step that
// fails does not keep the next from being tried, unless that builds on it.
package demo
