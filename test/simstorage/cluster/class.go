// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

const (
	// MaxReplicas is the most replicas a volume can have; a VolumeTopology holds no more.
	MaxReplicas = 64

	replicasParameter = "replicas"
	accessParameter   = "access"
	defaultReplicas   = 2

	// sidecarPrefix marks the parameters that the CSI sidecars take or add themselves.
	sidecarPrefix = "csi.storage.k8s.io/"
)

// Access says which nodes can mount a volume.
type Access string

const (
	// AccessAny lets every node mount the volume, over the network where the node has no replica.
	AccessAny Access = "any"
	// AccessReplicas lets only the nodes with a replica mount it.
	AccessReplicas Access = "replicas"
)

// Class is what a StorageClass asks of its volumes.
type Class struct {
	Replicas int    `json:"replicas"`
	Access   Access `json:"access"`
}

// ParseClass reads StorageClass parameters. Those of the CSI sidecars are skipped.
func ParseClass(parameters map[string]string) (Class, error) {
	class := Class{Replicas: defaultReplicas, Access: AccessAny}
	for _, key := range slices.Sorted(maps.Keys(parameters)) {
		value := parameters[key]
		switch {
		case strings.HasPrefix(key, sidecarPrefix):
		case key == replicasParameter:
			replicas, err := strconv.Atoi(value)
			if err != nil || replicas < 1 || replicas > MaxReplicas {
				return Class{}, errorf(Invalid, "parameter %s: invalid value %q: must be a whole number from 1 to %d", key, value, MaxReplicas)
			}
			class.Replicas = replicas
		case key == accessParameter:
			class.Access = Access(value)
			if class.Access != AccessAny && class.Access != AccessReplicas {
				return Class{}, errorf(Invalid, "parameter %s: invalid value %q: must be %q or %q", key, value, AccessAny, AccessReplicas)
			}
		default:
			return Class{}, errorf(Invalid, "parameter %s: unknown parameter (value %q): allowed are %q and %q", key, value, accessParameter, replicasParameter)
		}
	}
	return class, nil
}
