// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mirror follows the objects of one kind of custom resource, through the kind's being missing, installed and
// removed.
//
// It lists and watches with a client that reads the API server, and hands each object to Put and each name that is gone to
// Remove, one call at a time. A kind that the API server does not serve has no objects, and is looked for every five
// seconds. Typed objects and unstructured ones are followed alike.
//
// An API server that fails or is silent takes nothing away: what was put stays until a list or a watch says that it is
// gone, or until the API server says that there is no such kind.
//
// It keeps no object, writes nothing, and asks for nothing but the kind.
package mirror
