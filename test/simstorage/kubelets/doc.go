// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubelets does the part of the nodes' kubelets that concerns simstorage's volumes: it tells the model which
// volume is published on which node, and keeps the nodes' status.volumesInUse.
//
// Its inputs are the API server's pods, claims, PersistentVolumes and nodes, and the model's events. Its outputs are calls
// of the model's PublishVolume and UnpublishVolume, and one patch of a node's status when its volumes in use change.
//
// Invariants:
//   - A pod that is Running has its volumes in use on its node, and publishes there those that are attached: kwok calls a
//     pod Running without waiting for that, as a kubelet would.
//   - When the pod is gone, or runs no more, its volumes are unpublished once the kubelet can confirm that the process
//     ended: kwok plays the kubelet (the node has the annotation kwok.x-k8s.io/node=fake), the label sim.roost.dev/kubelet
//     does not say dead, and the storage system reaches the node. Until then the process may go on writing.
//   - A volume in use stays so until the kubelet is alive to say otherwise, whether the storage system reaches the node or not.
//   - A pod with the annotation sim.roost.dev/hangs=true has a process that hangs in I/O, which no kubelet can end. It ends
//     when the node comes back, or when all its volumes are fenced from the node, so that its I/O fails.
//   - With its Node object, or with another one of that name, all that ran on a node is gone.
//   - Volumes in use of other drivers are left as they are. A dead kubelet's node is not patched.
//
// It deletes no pod and decides nothing about storage. After a restart it knows nothing of pods that went before.
package kubelets
