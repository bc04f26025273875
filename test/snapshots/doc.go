// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package snapshots takes, schedules and restores snapshots in a sandbox: real API server and CSI sidecars, our scheduler and
// controller manager with exactly the shipped roles, volumes with real bytes, and commands that run in pods.
//
// Its specs look at the content that comes back, and at what is left behind: no frozen pod, no VolumeSnapshot of a run that
// failed, no workload without its replicas. Managers are killed in the middle of it.
package snapshots
