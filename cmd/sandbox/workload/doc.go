// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package workload is what the demo and the benchmark run in a sandbox: a StatefulSet whose pods have one claim each.
//
// Input: a client and a namespace. Output: the namespace with its StatefulSet, its pods, and where their data is. It only
// writes what Deploy makes.
package workload
