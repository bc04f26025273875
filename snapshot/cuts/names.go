// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cuts

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/journal"
	"roost.dev/roost/snapshot/preflight"
)

const (
	maxName    = 253
	maxMessage = 512
	hashLength = 8
)

// Name is the VolumeSnapshot that an ApplicationSnapshot makes of a claim.
func Name(snapshot *snapshotv1alpha1.ApplicationSnapshot, claim string) string {
	return named(snapshot.Name+"-"+claim, string(snapshot.UID)+"/"+claim)
}

// GroupName is the VolumeGroupSnapshot that an ApplicationSnapshot makes.
func GroupName(snapshot *snapshotv1alpha1.ApplicationSnapshot) string {
	return named(snapshot.Name, string(snapshot.UID))
}

// RunLabel is the label of the claims of an ApplicationSnapshot in mode Group. It is another one for each, so that two runs
// that share a claim do not take each other's.
func RunLabel(snapshot *snapshotv1alpha1.ApplicationSnapshot) string {
	return preflight.LabelGroupRun + hash(string(snapshot.UID))
}

// named ends in a hash, so that names that are cut, or that join to the same text, stay apart.
func named(base, identity string) string {
	if longest := maxName - hashLength - 1; len(base) > longest {
		base = strings.TrimRight(base[:longest], "-.")
	}
	return base + "-" + hash(identity)
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:hashLength]
}

// short cuts a message to what a member has room for.
func short(message string) string { return journal.Cut(message, maxMessage) }
