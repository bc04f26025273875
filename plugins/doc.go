// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plugins is what the scheduler's plugins share: the process's storage drivers, built from the first framework
// handle that a plugin is given and kept running from then on. The plugins themselves are one folder each, thin adapters
// between the scheduler framework and a package that decides.
package plugins
