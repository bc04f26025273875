// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// notes remembers what the nodes with a pod's data lacked when it was last held to them, to be told when the pod is bound.
// Its zero value is empty.
type notes struct {
	mu    sync.Mutex
	byPod map[types.UID]string
}

func (n *notes) set(pod types.UID, lacked string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byPod == nil {
		n.byPod = map[types.UID]string{}
	}
	n.byPod[pod] = lacked
}

// take returns what is noted of the pod, and forgets it.
func (n *notes) take(pod types.UID) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	noted := n.byPod[pod]
	delete(n.byPod, pod)
	return noted
}

// cut shortens a text to the limit, in bytes, between two characters.
func cut(text string, limit int) string {
	const rest = "..."
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(rest)], "") + rest
}
