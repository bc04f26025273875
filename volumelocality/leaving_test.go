// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"roost.dev/roost/drivers"
)

func TestLeaving(t *testing.T) {
	tests := map[string]struct {
		volume  Volume
		want    Volume
		wantHad bool
	}{
		"a node with a replica and the attachment": {
			volume: volume("v", "n1", "n2").attached("n1"), want: volume("v", "n2").attached(), wantHad: true,
		},
		"the other attachments stay": {
			volume: volume("v", "n1", "n2").attached("n1", "n2"), want: volume("v", "n2").attached("n2"), wantHad: true,
		},
		"the only replica": {
			volume: volume("v", "n1"), want: volume("v").attached(), wantHad: true,
		},
		"a node without a replica": {
			volume: volume("v", "n2"), want: volume("v", "n2").attached(),
		},
		"a node whose replica is being rebuilt": {
			volume: volume("v", "n2").and("n1", drivers.Rebuilding), want: volume("v", "n2").attached(),
		},
		"Avoid: the replica stays where it is": {
			volume: volume("v", "n1", "n2").with(Avoid), want: volume("v", "n1", "n2").with(Avoid), wantHad: true,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, had := tc.volume.Leaving("n1")
			if diff := cmp.Diff(withoutNil(tc.want), withoutNil(got)); diff != "" {
				t.Errorf("volume (-want +got):\n%s", diff)
			}
			if had != tc.wantHad {
				t.Errorf("had = %t, want %t", had, tc.wantHad)
			}
		})
	}
}

// withoutNil has an empty list where there is none.
func withoutNil(v Volume) Volume {
	if v.Location.Replicas == nil {
		v.Location.Replicas = []drivers.Replica{}
	}
	if v.Location.AttachedTo == nil {
		v.Location.AttachedTo = []string{}
	}
	return v
}

func TestLeavingDoesNotChangeTheDriversAnswer(t *testing.T) {
	before := volume("v", "n1", "n2").attached("n1", "n2")
	before.Leaving("n1")
	if diff := cmp.Diff(volume("v", "n1", "n2").attached("n1", "n2"), before); diff != "" {
		t.Errorf("volume (-want +got):\n%s", diff)
	}
}
