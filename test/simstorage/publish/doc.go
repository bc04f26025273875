// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package publish keeps VolumeTopology and StorageReport objects in the API server in step with simstorage's model.
//
// Its input is the model and the model's events, its output one VolumeTopology a volume and one StorageReport a storage
// node, each report with a heartbeat that is renewed at least once an interval and at once when the node changes.
//
// Invariants:
//   - The API server ends up like the model, whatever failed in between; objects of this provisioner that stand for
//     nothing are deleted.
//   - A topology is written only when it differs. Heartbeats have a period of their own a node, so that they spread out.
//   - While the publisher is silent it writes nothing, and afterwards it catches up.
//   - A node that is cut off is reported as Offline: the others say so, as it cannot.
//   - CRDs that are missing are waited for, and nothing else of simstorage waits with it.
//
// It never touches objects of other provisioners, and never reads its own objects back into the model.
package publish
