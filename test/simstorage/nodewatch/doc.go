// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodewatch tells simstorage's model which Kubernetes nodes there are.
//
// Its input is the API server's Node objects, its output calls of the model's SetNode and RemoveNode. A node is a storage
// node when it has the label sim.roost.dev/storage=true and a hostname label, without which no topology could name it.
// It keeps nothing, writes nothing, and an API server that is away only makes it wait.
package nodewatch
