// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package csiserver

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"roost.dev/roost/test/simstorage/cluster"
	"roost.dev/roost/test/simstorage/content"
)

// write writes what a volume holds, as a pod would.
func (h *harness) write(t *testing.T, handle, text string) {
	t.Helper()
	dir := content.VolumePath(h.data, handle)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (h *harness) wantRead(t *testing.T, handle, want string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(content.VolumePath(h.data, handle), "file"))
	if err != nil || string(got) != want {
		t.Errorf("volume %s holds %q, %v, want %q", handle, got, err, want)
	}
}

func (h *harness) createFrom(t *testing.T, name string, source cluster.Source) string {
	t.Helper()
	r := createRequest(name)
	r.VolumeContentSource = contentSource(source)
	response, err := h.CreateVolume(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return response.GetVolume().GetVolumeId()
}

// left returns the names in a folder of the data directory.
func (h *harness) left(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(h.data, folder))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestContentFollowsTheVolumes(t *testing.T) {
	h := newHarness(t)
	v := h.create(t, "v").GetVolumeId()
	h.write(t, v, "old")
	id := h.snapshot(t, v).GetSnapshotId()
	h.write(t, v, "new")
	if again := h.snapshot(t, v).GetSnapshotId(); again != id {
		t.Errorf("snapshot = %s the second time, want %s", again, id)
	}
	restored := h.createFrom(t, "restored", cluster.Source{SnapshotID: id})
	h.wantRead(t, restored, "old")
	h.write(t, restored, "changed")
	h.createFrom(t, "restored", cluster.Source{SnapshotID: id})
	h.wantRead(t, restored, "changed")
	h.wantRead(t, h.createFrom(t, "clone", cluster.Source{VolumeHandle: v}), "new")

	for _, handle := range []string{v, restored} {
		_, err := h.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: handle})
		wantCode(t, err, codes.OK)
	}
	_, err := h.DeleteSnapshot(t.Context(), &csi.DeleteSnapshotRequest{SnapshotId: id})
	wantCode(t, err, codes.OK)
	if volumes, snapshots := h.left(t, "volumes"), h.left(t, "snapshots"); len(volumes) != 1 || len(snapshots) != 0 {
		t.Errorf("left volumes %v and snapshots %v, want the clone alone", volumes, snapshots)
	}
}

func TestCopyThatFailsIsAnErrorAndLeavesNoSnapshot(t *testing.T) {
	h := newHarness(t)
	v, other := h.create(t, "v").GetVolumeId(), h.create(t, "other").GetVolumeId()
	h.write(t, other, "fine")
	obstacle := content.VolumePath(h.data, v)
	if err := os.WriteFile(obstacle, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	request := &csi.CreateSnapshotRequest{Name: "s", SourceVolumeId: v}
	_, err := h.CreateSnapshot(t.Context(), request)
	wantCode(t, err, codes.Internal, v)
	group := &csi.CreateVolumeGroupSnapshotRequest{Name: "g", SourceVolumeIds: []string{v, other}}
	_, err = h.groups.CreateVolumeGroupSnapshot(t.Context(), group)
	wantCode(t, err, codes.Internal, v)
	clone := createRequest("clone")
	clone.VolumeContentSource = contentSource(cluster.Source{VolumeHandle: v})
	_, err = h.CreateVolume(t.Context(), clone)
	wantCode(t, err, codes.Internal, v)
	if len(h.model.Snapshots()) != 0 || len(h.model.GroupSnapshots()) != 0 || len(h.left(t, "snapshots")) != 0 || h.model.HasVolume("clone") {
		t.Errorf("snapshots = %v, files %v, want none", h.model.Snapshots(), h.left(t, "snapshots"))
	}

	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	_, err = h.CreateSnapshot(t.Context(), request)
	wantCode(t, err, codes.OK)
	_, err = h.groups.CreateVolumeGroupSnapshot(t.Context(), group)
	wantCode(t, err, codes.OK)
}

func TestGroupSnapshot(t *testing.T) {
	h := newHarness(t)
	a, b := h.create(t, "a").GetVolumeId(), h.create(t, "b").GetVolumeId()
	h.write(t, a, "a")
	h.write(t, b, "b")
	request := &csi.CreateVolumeGroupSnapshotRequest{
		Name: "g", SourceVolumeIds: []string{a, b}, Parameters: map[string]string{"csi.storage.k8s.io/volumegroupsnapshot/name": "g"},
	}
	created, err := h.groups.CreateVolumeGroupSnapshot(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	group := created.GetGroupSnapshot()
	if !group.GetReadyToUse() || !group.GetCreationTime().AsTime().Equal(h.clock.Now()) {
		t.Errorf("group = %v, want cut now and ready", group)
	}
	var ids, sources []string
	for _, member := range group.GetSnapshots() {
		if member.GetGroupSnapshotId() != group.GetGroupSnapshotId() || !member.GetCreationTime().AsTime().Equal(group.GetCreationTime().AsTime()) {
			t.Errorf("member = %v, want the group's id and time", member)
		}
		h.write(t, member.GetSourceVolumeId(), "later")
		restored := h.createFrom(t, "of-"+member.GetSnapshotId(), cluster.Source{SnapshotID: member.GetSnapshotId()})
		ids, sources = append(ids, member.GetSnapshotId()), append(sources, member.GetSourceVolumeId())
		h.wantRead(t, restored, map[string]string{a: "a", b: "b"}[member.GetSourceVolumeId()])
	}
	if diff := cmp.Diff(map[string]bool{a: true, b: true}, map[string]bool{sources[0]: true, sources[1]: true}); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	got, err := h.groups.GetVolumeGroupSnapshot(t.Context(), &csi.GetVolumeGroupSnapshotRequest{GroupSnapshotId: group.GetGroupSnapshotId(), SnapshotIds: ids})
	if err != nil || len(got.GetGroupSnapshot().GetSnapshots()) != 2 {
		t.Errorf("GetVolumeGroupSnapshot = %v, %v", got, err)
	}
	_, err = h.DeleteSnapshot(t.Context(), &csi.DeleteSnapshotRequest{SnapshotId: ids[0]})
	wantCode(t, err, codes.InvalidArgument, ids[0], "group")
	for range 2 {
		_, err = h.groups.DeleteVolumeGroupSnapshot(t.Context(), &csi.DeleteVolumeGroupSnapshotRequest{GroupSnapshotId: group.GetGroupSnapshotId(), SnapshotIds: ids})
		wantCode(t, err, codes.OK)
	}
	if left := h.left(t, "snapshots"); len(left) != 0 {
		t.Errorf("left %v, want none", left)
	}
}

func TestGroupSnapshotErrors(t *testing.T) {
	h := newHarness(t)
	v := h.create(t, "v").GetVolumeId()
	create := func(name string, parameters map[string]string, handles ...string) error {
		_, err := h.groups.CreateVolumeGroupSnapshot(t.Context(), &csi.CreateVolumeGroupSnapshotRequest{
			Name: name, SourceVolumeIds: handles, Parameters: parameters,
		})
		return err
	}
	wantCode(t, create("", nil, v), codes.InvalidArgument, "name")
	wantCode(t, create("g", nil), codes.InvalidArgument, "source_volume_ids")
	wantCode(t, create("g", nil, "vol-none"), codes.NotFound, "vol-none")
	wantCode(t, create("g", map[string]string{"type": "cloud"}, v), codes.InvalidArgument, "type")
	wantCode(t, create("g", nil, v), codes.OK)
	wantCode(t, create("g", nil, h.create(t, "w").GetVolumeId()), codes.AlreadyExists, `"g"`)
	_, err := h.groups.DeleteVolumeGroupSnapshot(t.Context(), &csi.DeleteVolumeGroupSnapshotRequest{})
	wantCode(t, err, codes.InvalidArgument, "group_snapshot_id")
	_, err = h.groups.GetVolumeGroupSnapshot(t.Context(), &csi.GetVolumeGroupSnapshotRequest{})
	wantCode(t, err, codes.InvalidArgument, "group_snapshot_id")
	_, err = h.groups.GetVolumeGroupSnapshot(t.Context(), &csi.GetVolumeGroupSnapshotRequest{GroupSnapshotId: "group-none"})
	wantCode(t, err, codes.NotFound, "group-none")
	if err := h.model.SetAPI(true, 0); err != nil {
		t.Fatal(err)
	}
	wantCode(t, create("g", nil, v), codes.Unavailable, "down")
	if _, err := h.groups.GroupControllerGetCapabilities(t.Context(), &csi.GroupControllerGetCapabilitiesRequest{}); err != nil {
		t.Errorf("capabilities while the storage API is down: %v", err)
	}
}

func TestCutDelay(t *testing.T) {
	h := newHarness(t)
	v := h.create(t, "v").GetVolumeId()
	if err := h.model.SetSnapshots(cluster.SnapshotFaults{CutDelay: time.Minute, Skew: time.Hour, NoSize: true}); err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := h.CreateSnapshot(impatient, &csi.CreateSnapshotRequest{Name: "s", SourceVolumeId: v})
		failed <- err
	}()
	h.waitForWaiter(t)
	cancel()
	wantCode(t, <-failed, codes.Canceled)
	if got := h.model.Snapshots(); len(got) != 0 {
		t.Errorf("snapshots = %v of a call that was given up before its cut, want none", got)
	}

	started := h.clock.Now()
	h.write(t, v, "before")
	done := make(chan *csi.Snapshot, 1)
	go func() { done <- h.snapshot(t, v) }()
	eventually(t, func() bool { return h.clock.HasWaiters() })
	h.write(t, v, "at the cut")
	eventually(t, func() bool {
		h.clock.Step(time.Minute)
		return h.model.IsCut("s")
	})
	snapshot := <-done
	if cut := snapshot.GetCreationTime().AsTime().Add(-time.Hour); cut.Before(started.Add(time.Minute)) || snapshot.GetSizeBytes() != 0 {
		t.Errorf("snapshot = %v, want cut after the delay, told an hour ahead, and without a size", snapshot)
	}
	h.wantRead(t, h.createFrom(t, "restored", cluster.Source{SnapshotID: snapshot.GetSnapshotId()}), "at the cut")
	h.snapshot(t, v) // is cut already and does not wait
}
