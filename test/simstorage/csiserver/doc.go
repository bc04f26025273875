// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package csiserver serves the CSI identity, controller and group controller services of simstorage on a unix socket.
//
// Its input is the gRPC requests of the CSI sidecars, its output their answers, all taken from the cluster model, and the
// content of volumes and snapshots, which it has copied and removed as the model changes. It
// counts every call by its name, and it is where a storage API that is down or slow is felt: the controller's calls fail
// or wait, while the driver's own answers (identity, capabilities) stay, as they do in a real driver.
//
// Invariants: every call may be repeated; a volume's id never equals its name; an error's code is what the CSI
// specification asks for, so that the sidecars know whether to try again; what an answer names has its content, and where
// the copy fails, the model does not have it either. It keeps no state of its own but the counts,
// never calls Kubernetes and has no node service.
package csiserver
