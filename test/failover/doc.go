// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package failover makes storage fail in a whole control plane, and looks at what Roost does about it and what it leaves
// alone.
//
// One sandbox serves all specs: etcd, kube-apiserver, kube-controller-manager, the CSI sidecars, simstorage, kwok, Roost's
// scheduler and its controller manager with exactly the shipped roles. Only the manager's times are shorter. After every
// spec all faults are mended, every StorageNode is Healthy again, and simstorage has not once seen two nodes publish one
// volume.
package failover
