// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package generic is the driver for every volume that no other driver knows: any CSI, local or hostPath volume, located
// from Kubernetes' own objects.
//
// It reads PersistentVolumes, Nodes and VolumeAttachments through shared informers that their owner starts. A volume is
// on the nodes that its PersistentVolume's required nodeAffinity names one by one, all of them InSync, and it is attached
// where a VolumeAttachment says so.
//
// A location is worked out when an object changes, never when it is asked for: Locate is one look-up in a map. Every
// node of an answer existed when the answer was made. An affinity that does not name nodes, by a zone or by a label that
// several nodes share, gives no location.
//
// The driver writes nothing, starts no informer, asks no API server, and knows nothing of the health of storage.
package generic
