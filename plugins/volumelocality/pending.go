// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	fwk "k8s.io/kube-scheduler/framework"
)

const (
	// reasonWidening is in a pod's status between two attempts. watchPods looks for it.
	reasonWidening = "none of the nodes nearest to its data fits, trying more nodes next"

	// maxShownReasons and maxShownReason bound what is told of the data nodes, to some 400 characters. Whatever else the
	// scheduler says of the pod shares the 1 KiB of an event's note.
	maxShownReasons, maxShownReason = 4, 80
)

// whyPending tells a pod that stays without a node how many data nodes there are and what they lack. It says the same in each
// attempt until that changes: the scheduler writes the pod's status whenever the words differ.
func whyPending(s *cycleState, statuses fwk.NodeToStatusReader) []string {
	nodes, isRequired := s.plan.RequiredNodes()
	if !isRequired || !s.until.IsZero() {
		nodes = s.plan.DataNodes()
	}
	if len(nodes) == 0 {
		return nil
	}
	why := "volume locality is Preferred, and of"
	switch {
	case !s.until.IsZero():
		why = "waiting for room next to the data until " + s.until.UTC().Format(time.RFC3339) + ", and of"
	case isRequired:
		why = "volume locality is Required, and of"
	}
	return []string{fmt.Sprintf("%s the %d node(s) with the data: %s", why, len(nodes), whatLacks(nodes, statuses))}
}

// whatLacks counts the reasons that keep the pod off the nodes, the most frequent first.
func whatLacks(nodes []string, statuses fwk.NodeToStatusReader) string {
	counts := map[string]int{}
	for _, node := range nodes {
		for _, reason := range statuses.Get(node).Reasons() {
			counts[reason]++
		}
	}
	return countedReasons(counts)
}

// countedReasons tells the reasons with their numbers, the most frequent first.
func countedReasons(counts map[string]int) string {
	reasons := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	lacks := make([]string, 0, maxShownReasons+1)
	for _, reason := range reasons[:min(len(reasons), maxShownReasons)] {
		lacks = append(lacks, fmt.Sprintf("%d %s", counts[reason], shorten(reason)))
	}
	if more := len(reasons) - maxShownReasons; more > 0 {
		lacks = append(lacks, fmt.Sprintf("and %d other reason(s)", more))
	}
	return strings.Join(lacks, ", ")
}

func shorten(reason string) string {
	if len(reason) <= maxShownReason {
		return reason
	}
	return strings.ToValidUTF8(reason[:maxShownReason], "") + "..."
}
