// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"
)

func TestSetDefaultsVolumeLocalityArgs(t *testing.T) {
	defaultTopology := []TopologyTier{
		{Label: "topology.kubernetes.io/rack", Weight: 50},
		{Label: "topology.kubernetes.io/zone", Weight: 25},
		{Label: "topology.kubernetes.io/region", Weight: 10},
	}
	tests := map[string]struct {
		in   VolumeLocalityArgs
		want VolumeLocalityArgs
	}{
		"nothing written: every field gets its default": {
			want: VolumeLocalityArgs{
				DefaultPolicy: LocalityPreferred, Topology: defaultTopology,
				VolumeWeighting: VolumeWeightingEqual, DataNodesFirst: ptr.To(true),
			},
		},
		"everything written: no field changes": {
			in: VolumeLocalityArgs{
				DefaultPolicy: LocalityAvoid, Topology: []TopologyTier{{Label: "example.com/row", Weight: 40}},
				VolumeWeighting: VolumeWeightingCapacity, DataNodesFirst: ptr.To(false),
			},
			want: VolumeLocalityArgs{
				DefaultPolicy: LocalityAvoid, Topology: []TopologyTier{{Label: "example.com/row", Weight: 40}},
				VolumeWeighting: VolumeWeightingCapacity, DataNodesFirst: ptr.To(false),
			},
		},
		"an empty topology means no tiers and stays empty": {
			in: VolumeLocalityArgs{Topology: []TopologyTier{}},
			want: VolumeLocalityArgs{
				DefaultPolicy: LocalityPreferred, Topology: []TopologyTier{},
				VolumeWeighting: VolumeWeightingEqual, DataNodesFirst: ptr.To(true),
			},
		},
		"a tier of weight 0 is left alone": {
			in: VolumeLocalityArgs{Topology: []TopologyTier{{Label: "example.com/row"}}},
			want: VolumeLocalityArgs{
				DefaultPolicy: LocalityPreferred, Topology: []TopologyTier{{Label: "example.com/row"}},
				VolumeWeighting: VolumeWeightingEqual, DataNodesFirst: ptr.To(true),
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := tc.in
			SetDefaults_VolumeLocalityArgs(&got)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("defaulted arguments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSetDefaultsStorageHealthArgs(t *testing.T) {
	tests := map[string]struct {
		in   StorageHealthArgs
		want StorageHealthArgs
	}{
		"nothing written: every field gets its default": {
			want: StorageHealthArgs{
				RequireRegistration: ptr.To(true),
				DegradedPenalty:     ptr.To[int32](50), StorageDownPenalty: ptr.To[int32](75), SuspectPenalty: ptr.To[int32](50),
			},
		},
		"everything written, also as nothing: no field changes": {
			in: StorageHealthArgs{
				RequireRegistration: ptr.To(false),
				DegradedPenalty:     ptr.To[int32](0), StorageDownPenalty: ptr.To[int32](0), SuspectPenalty: ptr.To[int32](0),
			},
			want: StorageHealthArgs{
				RequireRegistration: ptr.To(false),
				DegradedPenalty:     ptr.To[int32](0), StorageDownPenalty: ptr.To[int32](0), SuspectPenalty: ptr.To[int32](0),
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := tc.in
			SetDefaults_StorageHealthArgs(&got)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("defaulted arguments (-want +got):\n%s", diff)
			}
		})
	}
}

// Two profiles are defaulted apart. Were the defaults shared memory, a change to one would reach the other.
func TestDefaultsAreNotShared(t *testing.T) {
	var first, second VolumeLocalityArgs
	SetDefaults_VolumeLocalityArgs(&first)
	first.Topology[0].Weight = 1
	*first.DataNodesFirst = false

	SetDefaults_VolumeLocalityArgs(&second)
	if got, want := second.Topology[0].Weight, int32(50); got != want {
		t.Errorf("weight of the first default tier = %d, want %d", got, want)
	}
	if !*second.DataNodesFirst {
		t.Error("default of dataNodesFirst = false, want true")
	}
}
