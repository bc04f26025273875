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
// With HealthOptions, in the controller manager, it also tells how storage is on each node, and proves fencing. It then
// reads Pods and CSINodes through the same informers, the leases of nodes that are not Ready one by one, and CSI-addons'
// NetworkFences and NetworkFenceClasses with a client. A report follows from facts by pure functions, when an object
// changes, and each second where a signal has begun that does not count yet. Only a node that is not Ready and whose lease
// stands still while we watch is Offline; nothing else that can be seen here says that no I/O is served. Ages are by our
// own clock.
//
// A fence is proof where every address of the node is fenced from the volume's storage cluster, and each NetworkFence that
// covers one and may be about that cluster says so of its spec as it is now. In doubt there is none.
//
// The driver writes nothing and starts no informer. It asks no API server for an answer: answers come from memory.
package generic
