// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/drivers"
)

const (
	replicasEach = 3
	// rackSize is how many nodes the node templates put into a rack.
	rackSize = 20
)

func nodeName(i int) string { return fmt.Sprintf("node-%d", i) }

// dataNodes are where the volumes of a pod have their replicas: three nodes by chance, the same in every run. Where those
// nodes are to be full, they are in the first three racks, one in each.
func (s shape) dataNodes(pod int) []string {
	chance := rand.New(rand.NewPCG(uint64(pod), uint64(s.nodes)))
	nodes := make([]string, 0, replicasEach)
	for len(nodes) < replicasEach {
		i := chance.IntN(s.nodes)
		if s.full {
			i = len(nodes)*rackSize + chance.IntN(rackSize)
		}
		if name := nodeName(i); !slices.Contains(nodes, name) {
			nodes = append(nodes, name)
		}
	}
	return nodes
}

func (s shape) claims() int { return s.pods * s.volumes }

// boundVolumes are those that there are before the pods.
func (s shape) boundVolumes() int {
	if s.unbound {
		return 0
	}
	return s.claims()
}

// fillers are the pods that leave no room.
func (s shape) fillers() int {
	if s.full {
		return replicasEach * rackSize
	}
	return 0
}

// claimName is as the templates of pods have it.
func (s shape) claimName(volume int) string {
	return fmt.Sprintf("data-%d-%d", volume/s.volumes, volume%s.volumes)
}

func (s shape) volumeID(volume int) drivers.VolumeID {
	return drivers.VolumeID{Provisioner: provisioner, Handle: "handle-of-" + s.claimName(volume)}
}

// podIndex is the number that the pod's template had, which its claims tell.
func podIndex(pod *corev1.Pod) int {
	parts := strings.Split(pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName, "-")
	i, err := strconv.Atoi(parts[1])
	if err != nil {
		return -1
	}
	return i
}
