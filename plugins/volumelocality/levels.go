// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"roost.dev/roost/volumelocality"
)

// levels remembers, for pods that did not fit on their data nodes, the level that they try next. A pod that is not in it
// begins with its data nodes.
type levels struct {
	mu    sync.Mutex
	byPod map[types.UID]volumelocality.Level
}

func newLevels() *levels {
	return &levels{byPod: map[types.UID]volumelocality.Level{}}
}

func (l *levels) of(pod types.UID) volumelocality.Level {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byPod[pod]
}

func (l *levels) set(pod types.UID, level volumelocality.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byPod[pod] = level
}

func (l *levels) forget(pod types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byPod, pod)
}
