// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package builders makes storage objects for tests, as the in-tree scheduler's builders make pods and nodes. Each Make
// function returns an object that is valid as it is; what a test is about is set on it, by chained calls. Only tests
// import it.
package builders
