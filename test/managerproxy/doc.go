// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package managerproxy stands between a controller manager of a sandbox and the API server, for tests.
//
// Its input is the manager's connection, its output the URL that the manager talks to instead, and a list of every call that the
// API server answered. A test can keep one write from the API server for a while, or be called after the n-th write, before the
// manager hears that it was made: to kill it then is to kill it between that write and all that would have come after.
//
// It changes no call and no answer, and starts no manager.
package managerproxy
