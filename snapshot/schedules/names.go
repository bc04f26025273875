// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package schedules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

const (
	longestName = 253
	hashLength  = 8
	slotFormat  = "200601021504"
	nowPrefix   = "now-"
	// suffixLength is that of a slot, and of nowPrefix with a hash.
	suffixLength = len(slotFormat)
)

// slotName is the name of the ApplicationSnapshot of a slot.
func slotName(schedule string, slot time.Time) string {
	return nameOf(schedule, slot.UTC().Format(slotFormat))
}

// nowName is the name of the ApplicationSnapshot of a runNow. A token that comes again, after another one, is another run: the
// generation that was carried out before tells them apart.
func nowName(schedule, token string, generation int64) string {
	return nameOf(schedule, nowPrefix+hash(fmt.Sprintf("%d/%s", generation, token)))
}

// isNameOf says that a schedule may have given a name to a snapshot.
func isNameOf(schedule, name string) bool {
	if len(name) < suffixLength {
		return false
	}
	suffix := name[len(name)-suffixLength:]
	if name != nameOf(schedule, suffix) {
		return false
	}
	if text, isNow := strings.CutPrefix(suffix, nowPrefix); isNow {
		_, err := hex.DecodeString(text)
		return err == nil
	}
	_, err := time.Parse(slotFormat, suffix)
	return err == nil
}

// nameOf is a name as it is where that is short enough, else cut, with a hash of what was cut.
func nameOf(schedule, suffix string) string {
	if name := schedule + "-" + suffix; len(name) <= longestName {
		return name
	}
	cut := schedule[:longestName-len(suffix)-hashLength-2]
	return strings.TrimRight(cut, "-.") + "-" + hash(schedule) + "-" + suffix
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:hashLength]
}
