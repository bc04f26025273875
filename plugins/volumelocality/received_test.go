// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/drivers"
	"roost.dev/roost/volumelocality"
)

// got is a Preferred volume, and what the node gives to it.
func got(claim string, placement volumelocality.Placement) receivedVolume {
	return receivedVolume{origin: origin{claim: claim, driver: "memory"}, policy: volumelocality.Preferred, placement: placement}
}

func (v receivedVolume) with(policy volumelocality.Policy) receivedVolume {
	v.policy = policy
	return v
}

func local(nodes ...string) volumelocality.Placement {
	return volumelocality.Placement{Locality: volumelocality.Local, Holds: true, Serving: nodes}
}

func remote(nodes ...string) volumelocality.Placement {
	return volumelocality.Placement{Locality: volumelocality.Remote, Serving: nodes}
}

var unknown = volumelocality.Placement{Locality: volumelocality.NotKnown}

func (v receivedVolume) without() receivedVolume {
	v.driver = ""
	return v
}

func (v receivedVolume) leftBehind() receivedVolume {
	v.left = true
	return v
}

var tellTests = map[string]struct {
	received received
	// want is nothing where there is nothing to tell.
	want told
}{
	"no volume": {},
	"a volume that no driver has ever heard of": {
		received: received{volumes: []receivedVolume{got("data", unknown).without()}},
	},
	"all local": {
		received: received{volumes: []receivedVolume{got("data", local("n3")), got("logs", local("n3", "n4"))}},
		want:     told{corev1.EventTypeNormal, EventReasonLocal, "2/2 volumes local on n3"},
	},
	"all local, besides one that no driver has ever heard of": {
		received: received{volumes: []receivedVolume{got("data", local("n3")), got("disk", unknown).without()}},
		want:     told{corev1.EventTypeNormal, EventReasonLocal, "1/1 volumes local on n3"},
	},
	"one near, one local, and what the data nodes lacked": {
		received: received{why: "the data nodes were tried first (2 Insufficient cpu), then all nodes", volumes: []receivedVolume{
			got("data", local("n3")),
			got("logs", volumelocality.Placement{Locality: volumelocality.Near, Tier: "rack", Serving: []string{"n1", "n2"}}),
		}},
		want: told{corev1.EventTypeWarning, EventReasonNotLocal,
			`1/2 volumes local on n3; the data nodes were tried first (2 Insufficient cpu), then all nodes; "logs" is on n1, n2 (same rack)`},
	},
	"what is the matter with its replicas": {
		received: received{volumes: []receivedVolume{got("data", volumelocality.Placement{
			Locality: volumelocality.Remote, NotServing: []volumelocality.NodeState{{Node: "n1", State: drivers.Maintenance}}, Missing: []string{"gone"},
		})}},
		want: told{corev1.EventTypeWarning, EventReasonNotLocal, `0/1 volumes local on n3; "data" is on n1 (Maintenance), gone (no such node)`},
	},
	"no replica is in sync": {
		received: received{volumes: []receivedVolume{got("data", remote())}},
		want:     told{corev1.EventTypeWarning, EventReasonNotLocal, `0/1 volumes local on n3; "data" has no in-sync replica`},
	},
	"a driver that is silent": {
		received: received{volumes: []receivedVolume{got("data", unknown)}},
		want:     told{corev1.EventTypeWarning, EventReasonNotLocal, `0/1 volumes local on n3; the driver memory has not heard for too long where "data" is`},
	},
	"the virtual machine leaves the only replica": {
		received: received{leaving: "n1", volumes: []receivedVolume{got("disk", remote()).leftBehind()}},
		want:     told{corev1.EventTypeWarning, EventReasonNotLocal, `0/1 volumes local on n3; "disk" is on n1 (the virtual machine leaves it)`},
	},
	"Avoid, and apart": {
		received: received{volumes: []receivedVolume{got("data", remote("n1")).with(volumelocality.Avoid)}},
		want:     told{corev1.EventTypeNormal, EventReasonApart, "1/1 volumes apart from their data on n3"},
	},
	"Avoid, and on a replica": {
		received: received{why: "not told, for nobody wanted to be local", volumes: []receivedVolume{got("data", local("n3")).with(volumelocality.Avoid)}},
		want: told{corev1.EventTypeWarning, EventReasonNotApart,
			`0/1 volumes apart from their data on n3; "data" has a replica there, and its locality is Avoid`},
	},
	"Avoid, and on a replica that does not serve": {
		received: received{volumes: []receivedVolume{got("data", volumelocality.Placement{Locality: volumelocality.Remote, Holds: true}).with(volumelocality.Avoid)}},
		want: told{corev1.EventTypeWarning, EventReasonNotApart,
			`0/1 volumes apart from their data on n3; "data" has a replica there, and its locality is Avoid`},
	},
	"one local, and one apart": {
		received: received{volumes: []receivedVolume{got("data", local("n3")), got("mirror", remote("n1")).with(volumelocality.Avoid)}},
		want:     told{corev1.EventTypeNormal, EventReasonLocal, "1/1 volumes local, 1/1 volumes apart from their data on n3"},
	},
	"neither what it should be": {
		received: received{volumes: []receivedVolume{got("data", remote("n1")), got("mirror", local("n3")).with(volumelocality.Avoid)}},
		want: told{corev1.EventTypeWarning, EventReasonNotLocal, `0/1 volumes local, 0/1 volumes apart from their data on n3; ` +
			`"data" is on n1; "mirror" has a replica there, and its locality is Avoid`},
	},
	"more nodes than anybody reads": {
		received: received{volumes: []receivedVolume{got("data", remote("n1", "n2", "n4", "n5", "n6"))}},
		want:     told{corev1.EventTypeWarning, EventReasonNotLocal, `0/1 volumes local on n3; "data" is on n1, n2, n4 and 2 more nodes`},
	},
	"more volumes than anybody reads": {
		received: received{volumes: []receivedVolume{
			got("a", remote("n1")), got("b", remote("n1")), got("c", remote("n1")), got("d", remote("n1")), got("e", remote("n1")), got("f", remote("n1")),
		}},
		want: told{corev1.EventTypeWarning, EventReasonNotLocal,
			`0/6 volumes local on n3; "a" is on n1; "b" is on n1; "c" is on n1; "d" is on n1 and 2 more volumes`},
	},
}

func TestTell(t *testing.T) {
	for name, tc := range tellTests {
		t.Run(name, func(t *testing.T) {
			tc.received.node = "n3"
			got, counts := tc.received.tell()
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(told{})); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
			if want := tc.want != (told{}); counts != want {
				t.Errorf("something to tell = %t, want %t", counts, want)
			}
		})
	}
}

// TestTheLongestNoteIsAccepted gives everything the longest name that Kubernetes allows, and more of it than fits.
func TestTheLongestNoteIsAccepted(t *testing.T) {
	longest := strings.Repeat("x", 253)
	var nodes []string
	for i := range 64 {
		nodes = append(nodes, fmt.Sprintf("%03d%s", i, longest[3:]))
	}
	for name, count := range map[string]int{"one volume": 1, "two volumes": 2, "200 volumes": 200} {
		for _, why := range []string{"", "the data nodes were tried first (" + strings.Repeat("ü", 200), strings.Repeat("ü", maxNote)} {
			t.Run(fmt.Sprintf("%s, %d bytes of why", name, len(why)), func(t *testing.T) {
				r := received{node: longest, why: why}
				for range count {
					r.volumes = append(r.volumes, got(longest, remote(nodes...)))
				}
				told, _ := r.tell()
				if len(told.note) > maxNote || !utf8.ValidString(told.note) {
					t.Errorf("note of %d bytes, valid %t, want at most %d: %s", len(told.note), utf8.ValidString(told.note), maxNote, told.note)
				}
				if want := fmt.Sprintf("0/%d volumes local on %s", count, longest); !strings.HasPrefix(told.note, want) {
					t.Errorf("note begins %q, want %q", told.note, want)
				}
			})
		}
	}
}

func TestAreApart(t *testing.T) {
	tests := map[string]struct {
		volumes []receivedVolume
		want    bool
	}{
		"one volume":                    {volumes: []receivedVolume{got("a", remote("n1"))}},
		"two that share a node":         {volumes: []receivedVolume{got("a", remote("n1", "n2")), got("b", remote("n2"))}},
		"two that share none":           {volumes: []receivedVolume{got("a", remote("n1")), got("b", local("n2"))}, want: true},
		"one of two has no data":        {volumes: []receivedVolume{got("a", remote("n1")), got("b", remote())}},
		"one of two is to be avoided":   {volumes: []receivedVolume{got("a", remote("n1")), got("b", local("n2")).with(volumelocality.Avoid)}},
		"three, each pair shares a one": {volumes: []receivedVolume{got("a", remote("n1", "n2")), got("b", remote("n2", "n4")), got("c", remote("n1", "n4"))}, want: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := received{volumes: tc.volumes}
			if got := r.areApart(); got != tc.want {
				t.Errorf("areApart = %t, want %t", got, tc.want)
			}
			// The driver's memory is shared.
			if r.volumes[0].placement.Serving[0] != "n1" {
				t.Errorf("it changed where the first volume is: %v", r.volumes[0].placement.Serving)
			}
		})
	}
}
