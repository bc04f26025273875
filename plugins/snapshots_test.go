// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/mirror"
	"roost.dev/roost/internal/mirror/mirrortest"
)

// volumeSnapshot is bound to a content; to none where that is empty.
func volumeSnapshot(name, content string) *snapshotv1.VolumeSnapshot {
	snapshot := &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	if content != "" {
		snapshot.Status = &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: ptr.To(content)}
	}
	return snapshot
}

// taken is the content of a snapshot that was taken of a volume.
func taken(name, volume, snapshot string) *snapshotv1.VolumeSnapshotContent {
	content := &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: name}}
	content.Spec.Driver, content.Spec.Source.VolumeHandle = provisioner, ptr.To(volume)
	if snapshot != "" {
		content.Status = &snapshotv1.VolumeSnapshotContentStatus{SnapshotHandle: ptr.To(snapshot)}
	}
	return content
}

// broughtIn is a content that was made for a snapshot which was there.
func broughtIn(name, snapshot string) *snapshotv1.VolumeSnapshotContent {
	content := &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: name}}
	content.Spec.Driver, content.Spec.Source.SnapshotHandle = provisioner, ptr.To(snapshot)
	return content
}

func TestTheVolumeOfASnapshot(t *testing.T) {
	foreign := broughtIn("foreign", "s-1")
	foreign.Spec.Driver = "other.example.com"
	for name, tc := range map[string]struct {
		snapshot *snapshotv1.VolumeSnapshot
		contents []*snapshotv1.VolumeSnapshotContent
		gone     []string
		want     string
	}{
		"taken here":                           {snapshot: volumeSnapshot("x", "c"), contents: []*snapshotv1.VolumeSnapshotContent{taken("c", "v-1", "s-1")}, want: "v-1"},
		"being taken":                          {snapshot: volumeSnapshot("x", "c"), contents: []*snapshotv1.VolumeSnapshotContent{taken("c", "v-1", "")}, want: "v-1"},
		"no such snapshot":                     {snapshot: volumeSnapshot("y", "c"), contents: []*snapshotv1.VolumeSnapshotContent{taken("c", "v-1", "s-1")}},
		"not bound":                            {snapshot: volumeSnapshot("x", ""), contents: []*snapshotv1.VolumeSnapshotContent{taken("c", "v-1", "s-1")}},
		"its content is gone":                  {snapshot: volumeSnapshot("x", "c"), contents: []*snapshotv1.VolumeSnapshotContent{taken("c", "v-1", "s-1")}, gone: []string{"c"}},
		"brought in from a snapshot elsewhere": {snapshot: volumeSnapshot("x", "c"), contents: []*snapshotv1.VolumeSnapshotContent{broughtIn("c", "s-1")}},
		"brought in from one that was taken here, as into another namespace": {
			snapshot: volumeSnapshot("x", "c"), contents: []*snapshotv1.VolumeSnapshotContent{broughtIn("c", "s-1"), taken("d", "v-1", "s-1")}, want: "v-1",
		},
		"another driver's snapshot of the same handle": {
			snapshot: volumeSnapshot("x", "foreign"), contents: []*snapshotv1.VolumeSnapshotContent{foreign, taken("d", "v-1", "s-1")},
		},
		"one of two that name the volume is gone": {
			snapshot: volumeSnapshot("x", "c"), gone: []string{"d"}, want: "v-1",
			contents: []*snapshotv1.VolumeSnapshotContent{broughtIn("c", "s-1"), taken("d", "v-1", "s-1"), taken("e", "v-1", "s-1")},
		},
		"both are": {
			snapshot: volumeSnapshot("x", "c"), gone: []string{"d", "e"},
			contents: []*snapshotv1.VolumeSnapshotContent{broughtIn("c", "s-1"), taken("d", "v-1", "s-1"), taken("e", "v-1", "s-1")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewSnapshots()
			s.putSnapshot(tc.snapshot)
			for _, content := range tc.contents {
				s.putContent(content)
				s.putContent(content)
			}
			for _, gone := range tc.gone {
				s.removeContent(gone)
			}
			got, ok := s.VolumeOf("shop", "x")
			if ok != (tc.want != "") || ok && got != (drivers.VolumeID{Provisioner: provisioner, Handle: tc.want}) {
				t.Errorf("VolumeOf = %v, %t, want %q", got, ok, tc.want)
			}
			s.removeSnapshot("shop/x")
			s.removeSnapshot("shop/y")
			for _, content := range tc.contents {
				s.removeContent(content.Name)
			}
			if left := len(s.contents) + len(s.cuts) + len(s.origins); left != 0 {
				t.Errorf("%d entries are left of what is gone, want 0", left)
			}
		})
	}
}

func TestSnapshotsAreFollowedThroughTheirKindsRemoval(t *testing.T) {
	api, clock := mirrortest.New(), testingclock.NewFakeClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))
	for _, kind := range []string{"VolumeSnapshot", "VolumeSnapshotContent"} {
		api.Fail(kind, &meta.NoKindMatchError{})
	}
	s := NewSnapshots()
	s.Follow(t.Context(), api, clock)
	known := func() bool { _, ok := s.VolumeOf("shop", "x"); return ok }
	if known() {
		t.Fatal("a snapshot is known of a kind that is not installed")
	}
	for _, kind := range []string{"VolumeSnapshot", "VolumeSnapshotContent"} {
		api.Fail(kind, nil)
	}
	api.Write(volumeSnapshot("x", "c"))
	api.Write(taken("c", "v-1", "s-1"))
	waitUntil(t, "they are followed once their kinds are installed", func() bool { clock.Step(mirror.PollInterval); return known() })
	api.Remove(taken("c", "v-1", "s-1"))
	waitUntil(t, "a content that goes is forgotten", func() bool { return !known() })
	api.Write(taken("c", "v-1", "s-1"))
	waitUntil(t, "it comes back", known)
	api.Uninstall("VolumeSnapshot", &meta.NoKindMatchError{})
	waitUntil(t, "all are forgotten with their kind", func() bool { clock.Step(time.Second); return !known() })
}
