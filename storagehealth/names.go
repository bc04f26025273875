// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"crypto/sha256"
	"encoding/hex"

	"roost.dev/roost/storagehealth/verdict"
)

// maxName is the most characters the name of an object may have.
const maxName = 253

// objectName is the StorageNode's name: the provisioner and the node. Where that is too long it is cut, and a hash of both
// keeps it apart from others that begin alike.
func objectName(key verdict.Key) string {
	if name := key.Provisioner + "." + key.Node; len(name) <= maxName {
		return name
	}
	return hashedName(key)
}

// hashedName is the name where the plain one is too long, or is taken: "a.b" on "c" and "a" on "b.c" have the same.
func hashedName(key verdict.Key) string {
	sum := sha256.Sum256([]byte(key.Provisioner + "\x00" + key.Node))
	hash := hex.EncodeToString(sum[:4])
	name := key.Provisioner + "." + key.Node
	return name[:min(len(name), maxName-len(hash)-1)] + "-" + hash
}
