// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package app wires simstorage together: flags, the model, and the parts that serve, watch and publish it.
//
// Its input is the command line, its output a running storage system. Every part runs until the first one fails or the
// context ends; then all stop, and the CSI socket and the admin address file are removed. The CSI service listens at
// once and says that it is not ready until the nodes are known. The package decides nothing about storage.
package app
