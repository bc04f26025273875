// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mirrortest has a fake API server for the tests of what follows custom resources with package mirror.
//
// It serves lists, watches from a resource version and streamed lists, of typed and of unstructured objects, and can fail
// or lose a kind. Kinds are told apart by name alone. The package is used in tests only.
package mirrortest
