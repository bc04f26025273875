// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pools knows how much room a storage system's pools have for claims that are not bound yet.
//
// Its inputs are CSIStorageCapacity objects, claims, PersistentVolumes that nobody has claimed, and what the scheduler has
// just decided (Assume, Release). Its output is a Request, made once for a pod and then asked of each node whether the pod's
// claims fit there together. The in-tree plugin VolumeBinding checks each claim alone, and against an object that is up to a
// minute old; this package takes off what has been promised since.
//
// What is promised counts until the object has caught up, the claim is gone, the provisioner has given the node up, or a
// limit has passed; see assumption. It is kept for a claim and not for a pod, and read from the claims themselves, so that
// a scheduler that starts again, or another scheduler beside it, changes nothing.
//
// It only ever takes room away from what the objects say, and never adds any. Where it knows nothing (a node without a pool, a
// claim that may be bound to a volume that is there already) it lets pass, and the in-tree plugin decides alone. Two
// StorageClasses that share a pool are counted apart, because nothing in the API says that they share it.
//
// Fits takes no lock and allocates nothing. There is no I/O, and no type of the scheduler framework.
package pools
