// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package app puts the controller manager together: its flags and configuration file, its clients and caches, and the loops
// that run while it leads.
//
// Inputs: the command line, a configuration file, and an API server. The configuration is decoded strictly and checked whole
// before anything starts. Outputs: health, metrics and, when asked for, profiles over HTTP; a Lease; and what the loops
// write. Caches and drivers run in every manager, so that one that takes over acts at once. When a manager is told to stop,
// its loops end before it gives the Lease away.
//
// It decides nothing about storage: the loops do, each in a package of its own.
package app
