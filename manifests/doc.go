// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifests is the place of the tests that hold the YAML in this folder to its promises; it has no code.
//
// Inputs: the files of components, default and examples. The tests check that each decodes strictly, that kustomize
// builds what can be applied, that the configurations start a scheduler, that no role gives more than is needed, and
// that the names which the files share agree. They never need a cluster.
package manifests
