// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package slots

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Delay is how long after its slots the runs of a schedule start: a part of jitter, in whole seconds, that namespace and
// name alone decide.
func Delay(namespace, name string, jitter time.Duration) time.Duration {
	seconds := uint64(max(jitter, 0) / time.Second)
	if seconds == 0 {
		return 0
	}
	sum := sha256.Sum256([]byte(namespace + "/" + name))
	return time.Duration(binary.BigEndian.Uint64(sum[:8])%seconds) * time.Second
}
