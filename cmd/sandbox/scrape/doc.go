// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scrape reads the controller manager's metrics for the benchmarks.
//
// Input: where they are served, and the metrics without which a reading says nothing. Output: each sample, in the order of the
// text. It keeps nothing and knows no metric.
package scrape
