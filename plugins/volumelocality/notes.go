// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	fwk "k8s.io/kube-scheduler/framework"
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

// maxLacked bounds what is kept of a pod. Reasons can name any taint.
const maxLacked = 256

// lacksOf sums up what the nodes lack, the commonest first.
func lacksOf(nodes []string, statuses fwk.NodeToStatusReader) string {
	counts := map[string]int{}
	for _, node := range nodes {
		for _, reason := range statuses.Get(node).Reasons() {
			counts[reason]++
		}
	}
	reasons := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	lacks := make([]string, 0, len(reasons))
	for _, reason := range reasons {
		lacks = append(lacks, fmt.Sprintf("%d %s", counts[reason], reason))
	}
	return cut(strings.Join(lacks, ", "), maxLacked)
}

// cut shortens a text to the limit, in bytes, between two characters.
func cut(text string, limit int) string {
	const rest = "..."
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(rest)], "") + rest
}
