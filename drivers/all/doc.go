// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package all lists the drivers that the project's binaries are built with, in one place.
//
// It adds them to a registry in the order in which they are asked for a volume: vendors' drivers answer for their own
// provisioners, then published, then generic for the volumes that are left. It starts nothing and keeps nothing.
package all
