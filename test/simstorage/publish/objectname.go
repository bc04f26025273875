// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"crypto/sha256"
	"encoding/hex"

	"k8s.io/apimachinery/pkg/util/validation"

	"roost.dev/roost/test/simstorage/csiserver"
)

// hashDigits is how much of the hash stands for what was cut off a long name.
const hashDigits = 8

// ObjectName is the name of the object for a volume handle or a node name. A name too long for an object is cut, and a
// hash of the whole takes the place of what was lost.
func ObjectName(id string) string {
	name := csiserver.DriverName + "-" + id
	if len(name) <= validation.DNS1123SubdomainMaxLength {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	// An x before the hash, since what stays may end in a dot, and a label must not begin with a dash.
	suffix := "x-" + hex.EncodeToString(sum[:])[:hashDigits]
	return name[:validation.DNS1123SubdomainMaxLength-len(suffix)] + suffix
}
