// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package csiserver

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/test/simstorage/cluster"
)

func TestControllerCapabilities(t *testing.T) {
	h := newHarness(t)
	response, err := h.ControllerGetCapabilities(t.Context(), &csi.ControllerGetCapabilitiesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, capability := range response.GetCapabilities() {
		got = append(got, capability.GetRpc().GetType().String())
	}
	for _, want := range []string{ // those that the sidecars look for
		"CREATE_DELETE_VOLUME", "PUBLISH_UNPUBLISH_VOLUME", "LIST_VOLUMES", "LIST_VOLUMES_PUBLISHED_NODES", "GET_CAPACITY",
		"CREATE_DELETE_SNAPSHOT", "LIST_SNAPSHOTS", "CLONE_VOLUME", "SINGLE_NODE_MULTI_WRITER",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("capabilities %v lack %s", got, want)
		}
	}
}

func TestCreateVolume(t *testing.T) {
	h := newHarness(t)
	t.Run("a volume for any node has no topology", func(t *testing.T) {
		v := h.create(t, "pvc-1")
		if !regexp.MustCompile(`^vol-[0-9a-f]{12}$`).MatchString(v.GetVolumeId()) {
			t.Errorf("volume id = %q", v.GetVolumeId())
		}
		if v.GetCapacityBytes() != gib || len(v.GetAccessibleTopology()) != 0 || v.GetContentSource() != nil {
			t.Errorf("volume = %v, want 1 GiB, no topology and no source", v)
		}
	})
	t.Run("a volume for replica nodes names their hostnames, the selected node's first", func(t *testing.T) {
		r := createRequest("pvc-2")
		r.Parameters = map[string]string{"access": "replicas", "replicas": "2", "csi.storage.k8s.io/pv/name": "pvc-2"}
		selected := &csi.Topology{Segments: map[string]string{corev1.LabelHostname: "n2.host"}}
		other := &csi.Topology{Segments: map[string]string{corev1.LabelHostname: "n3.host"}}
		r.AccessibilityRequirements = &csi.TopologyRequirement{Requisite: []*csi.Topology{other, selected}, Preferred: []*csi.Topology{selected, other}}
		response, err := h.CreateVolume(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		var got []map[string]string
		for _, topology := range response.GetVolume().GetAccessibleTopology() {
			got = append(got, topology.GetSegments())
		}
		want := []map[string]string{{corev1.LabelHostname: "n2.host"}, {corev1.LabelHostname: "n3.host"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("topology (-want +got):\n%s", diff)
		}
	})
}

func TestCreateVolumeErrors(t *testing.T) {
	h := newHarness(t)
	h.create(t, "taken")
	for name, tc := range map[string]struct {
		change func(*csi.CreateVolumeRequest)
		code   codes.Code
		words  []string
	}{
		"no name":              {func(r *csi.CreateVolumeRequest) { r.Name = "" }, codes.InvalidArgument, []string{"name"}},
		"no capability":        {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities = nil }, codes.InvalidArgument, []string{"volume_capabilities"}},
		"no access type":       {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0].AccessType = nil }, codes.InvalidArgument, []string{"access_type"}},
		"no access mode":       {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0].AccessMode = nil }, codes.InvalidArgument, []string{"access_mode", "UNKNOWN"}},
		"an unknown parameter": {func(r *csi.CreateVolumeRequest) { r.Parameters = map[string]string{"replica": "2"} }, codes.InvalidArgument, []string{"replica", `"2"`, `"replicas"`}},
		"a bad parameter":      {func(r *csi.CreateVolumeRequest) { r.Parameters = map[string]string{"replicas": "x"} }, codes.InvalidArgument, []string{"replicas", `"x"`, "1 to 64"}},
		"a mutable parameter":  {func(r *csi.CreateVolumeRequest) { r.MutableParameters = map[string]string{"iops": "1"} }, codes.InvalidArgument, []string{"mutable_parameters"}},
		"an empty source":      {func(r *csi.CreateVolumeRequest) { r.VolumeContentSource = &csi.VolumeContentSource{} }, codes.InvalidArgument, []string{"volume_content_source"}},
		"a source that is missing": {func(r *csi.CreateVolumeRequest) {
			r.VolumeContentSource = contentSource(cluster.Source{VolumeHandle: "x"})
		}, codes.NotFound, []string{"x"}},
		"more replicas than nodes": {func(r *csi.CreateVolumeRequest) { r.Parameters = map[string]string{"replicas": "4"} }, codes.ResourceExhausted, []string{"4", "3 storage nodes"}},
		"a taken name":             {func(r *csi.CreateVolumeRequest) { r.Name, r.CapacityRange.RequiredBytes = "taken", 2*gib }, codes.AlreadyExists, []string{"taken"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := createRequest("v")
			tc.change(r)
			_, err := h.CreateVolume(t.Context(), r)
			wantCode(t, err, tc.code, tc.words...)
		})
	}
}

const writer = csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER

func (h *harness) publish(t *testing.T, id, node string, mode csi.VolumeCapability_AccessMode_Mode) error {
	t.Helper()
	_, err := h.ControllerPublishVolume(t.Context(), &csi.ControllerPublishVolumeRequest{VolumeId: id, NodeId: node, VolumeCapability: mount(mode)})
	return err
}

func (h *harness) unpublish(t *testing.T, id, node string) error {
	t.Helper()
	_, err := h.ControllerUnpublishVolume(t.Context(), &csi.ControllerUnpublishVolumeRequest{VolumeId: id, NodeId: node})
	return err
}

func (h *harness) publishedNodes(t *testing.T, id string) []string {
	t.Helper()
	response, err := h.ControllerGetVolume(t.Context(), &csi.ControllerGetVolumeRequest{VolumeId: id})
	if err != nil {
		t.Fatal(err)
	}
	return response.GetStatus().GetPublishedNodeIds()
}

func TestPublish(t *testing.T) {
	h := newHarness(t)
	id := h.create(t, "v").GetVolumeId()
	for range 2 {
		if err := h.publish(t, id, "n1", writer); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"n1"}, h.publishedNodes(t, id)); diff != "" {
		t.Errorf("published nodes (-want +got):\n%s", diff)
	}
	wantCode(t, h.publish(t, id, "n2", writer), codes.FailedPrecondition, "n1", "n2")
	wantCode(t, h.publish(t, id, "n1", csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY), codes.AlreadyExists)
	wantCode(t, h.publish(t, id, "nowhere", writer), codes.NotFound, "nowhere")
	wantCode(t, h.publish(t, "vol-none", "n1", writer), codes.NotFound, "vol-none")
	wantCode(t, h.publish(t, id, "", writer), codes.InvalidArgument, "node_id")
	wantCode(t, h.publish(t, "", "n1", writer), codes.InvalidArgument, "volume_id")
	wantCode(t, h.publish(t, id, "n1", csi.VolumeCapability_AccessMode_UNKNOWN), codes.InvalidArgument, "access_mode")
	_, err := h.ControllerPublishVolume(t.Context(), &csi.ControllerPublishVolumeRequest{VolumeId: id, NodeId: "n1"})
	wantCode(t, err, codes.InvalidArgument, "volume_capability")
	_, err = h.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: id})
	wantCode(t, err, codes.FailedPrecondition, "n1")
}

func TestUnpublishWhatIsFenced(t *testing.T) {
	h := newHarness(t)
	id := h.create(t, "v").GetVolumeId()
	if err := h.publish(t, id, "n1", writer); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.model.SetCutOff("n1", true), h.model.Fence(id, "n1")); err != nil {
		t.Fatal(err)
	}
	wantCode(t, h.unpublish(t, id, "n1"), codes.OK)
	wantCode(t, h.publish(t, id, "n1", writer), codes.FailedPrecondition, "fenced", "n1")
	wantCode(t, h.publish(t, id, "n2", writer), codes.OK)
}

func TestUnpublish(t *testing.T) {
	h := newHarness(t)
	id := h.create(t, "v").GetVolumeId()
	if err := h.publish(t, id, "n1", writer); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.model.SetFencing(cluster.FencingManual), h.model.SetCutOff("n1", true)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, h.unpublish(t, id, "n1"), codes.Unavailable, "cut off")
	if err := h.model.SetCutOff("n1", false); err != nil {
		t.Fatal(err)
	}
	wantCode(t, h.unpublish(t, "", "n1"), codes.InvalidArgument, "volume_id")
	wantCode(t, h.unpublish(t, id, "n1"), codes.OK)
	wantCode(t, h.unpublish(t, id, "n1"), codes.OK)
	wantCode(t, h.publish(t, id, "n2", writer), codes.OK)
	wantCode(t, h.unpublish(t, id, ""), codes.OK)
	if got := h.publishedNodes(t, id); len(got) != 0 {
		t.Errorf("published nodes = %v after unpublishing from all", got)
	}
	for range 2 {
		_, err := h.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: id})
		wantCode(t, err, codes.OK)
	}
	wantCode(t, h.unpublish(t, id, "n2"), codes.OK)
}

func TestPublishWithManyNodes(t *testing.T) {
	for mode, secondNode := range map[csi.VolumeCapability_AccessMode_Mode]codes.Code{
		csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER:        codes.FailedPrecondition,
		csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY:   codes.FailedPrecondition,
		csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER: codes.FailedPrecondition,
		csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER:  codes.FailedPrecondition,
		csi.VolumeCapability_AccessMode_MULTI_NODE_SINGLE_WRITER:  codes.FailedPrecondition,
		csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY:    codes.OK,
		csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER:   codes.OK,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			h := newHarness(t)
			id := h.create(t, "v").GetVolumeId()
			r := &csi.ControllerPublishVolumeRequest{VolumeId: id, NodeId: "n1", VolumeCapability: mount(mode)}
			if _, err := h.ControllerPublishVolume(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			r.NodeId = "n2"
			_, err := h.ControllerPublishVolume(t.Context(), r)
			wantCode(t, err, secondNode)
		})
	}
}

func TestValidateVolumeCapabilities(t *testing.T) {
	h := newHarness(t)
	id := h.create(t, "v").GetVolumeId()
	validate := func(id string, parameters map[string]string, capabilities ...*csi.VolumeCapability) (*csi.ValidateVolumeCapabilitiesResponse, error) {
		return h.ValidateVolumeCapabilities(t.Context(), &csi.ValidateVolumeCapabilitiesRequest{
			VolumeId: id, VolumeCapabilities: capabilities, Parameters: parameters,
		})
	}
	good := mount(csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER)
	if response, err := validate(id, nil, good); err != nil || len(response.GetConfirmed().GetVolumeCapabilities()) != 1 {
		t.Errorf("response = %v, %v, want confirmed", response, err)
	}
	if response, err := validate(id, nil, good, mount(csi.VolumeCapability_AccessMode_UNKNOWN)); err != nil || response.GetConfirmed() != nil || response.GetMessage() == "" {
		t.Errorf("response = %v, %v, want a message and nothing confirmed", response, err)
	}
	if response, err := validate(id, map[string]string{"replicas": "0"}, good); err != nil || response.GetConfirmed() != nil || response.GetMessage() == "" {
		t.Errorf("response = %v, %v, want a message and nothing confirmed", response, err)
	}
	_, err := validate("vol-none", nil, good)
	wantCode(t, err, codes.NotFound, "vol-none")
	_, err = validate("", nil, good)
	wantCode(t, err, codes.InvalidArgument, "volume_id")
	_, err = validate(id, nil)
	wantCode(t, err, codes.InvalidArgument, "volume_capabilities")
}

func TestListVolumesInPages(t *testing.T) {
	h := newHarness(t)
	var want []string
	for i := range 7 {
		want = append(want, h.create(t, fmt.Sprint("v-", i)).GetVolumeId())
	}
	slices.Sort(want)
	first, err := h.ListVolumes(t.Context(), &csi.ListVolumesRequest{MaxEntries: 3})
	if err != nil {
		t.Fatal(err)
	}
	// What is deleted between two pages must not make the second skip anything.
	if _, err := h.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: want[0]}); err != nil {
		t.Fatal(err)
	}
	got, token := idsOf(first), first.GetNextToken()
	for token != "" {
		response, err := h.ListVolumes(t.Context(), &csi.ListVolumesRequest{MaxEntries: 3, StartingToken: token})
		if err != nil {
			t.Fatal(err)
		}
		got, token = append(got, idsOf(response)...), response.GetNextToken()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
	_, err = h.ListVolumes(t.Context(), &csi.ListVolumesRequest{StartingToken: "nonsense"})
	wantCode(t, err, codes.Aborted, "nonsense")
	_, err = h.ListVolumes(t.Context(), &csi.ListVolumesRequest{MaxEntries: -1})
	wantCode(t, err, codes.InvalidArgument, "max_entries")
}

func TestGetCapacity(t *testing.T) {
	h := newHarness(t)
	topology := &csi.Topology{Segments: map[string]string{corev1.LabelHostname: "n1.host"}}
	got, err := h.GetCapacity(t.Context(), &csi.GetCapacityRequest{Parameters: map[string]string{"access": "replicas"}, AccessibleTopology: topology})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetAvailableCapacity() != pool || got.GetMaximumVolumeSize().GetValue() != pool {
		t.Errorf("capacity = %v, want a whole pool", got)
	}
	_, err = h.GetCapacity(t.Context(), &csi.GetCapacityRequest{Parameters: map[string]string{"access": "x"}})
	wantCode(t, err, codes.InvalidArgument, "access")
}

func TestExpandVolume(t *testing.T) {
	h := newHarness(t)
	id := h.create(t, "v").GetVolumeId()
	r := &csi.ControllerExpandVolumeRequest{VolumeId: id, CapacityRange: &csi.CapacityRange{RequiredBytes: 2 * gib}}
	got, err := h.ControllerExpandVolume(t.Context(), r)
	if err != nil || got.GetCapacityBytes() != 2*gib || got.GetNodeExpansionRequired() {
		t.Errorf("ControllerExpandVolume = %v, %v", got, err)
	}
	r.CapacityRange.RequiredBytes = pool + 1
	_, err = h.ControllerExpandVolume(t.Context(), r)
	wantCode(t, err, codes.OutOfRange)
	r.CapacityRange = nil
	_, err = h.ControllerExpandVolume(t.Context(), r)
	wantCode(t, err, codes.InvalidArgument, "capacity_range")
}

func (h *harness) snapshot(t *testing.T, source string) *csi.Snapshot {
	t.Helper()
	response, err := h.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{
		Name: "s", SourceVolumeId: source, Parameters: map[string]string{"csi.storage.k8s.io/volumesnapshot/name": "s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return response.GetSnapshot()
}

func TestSlowSnapshotAndRestore(t *testing.T) {
	h := newHarness(t)
	if err := h.model.SetSnapshots(cluster.SnapshotFaults{ReadyDelay: time.Minute}); err != nil {
		t.Fatal(err)
	}
	snapshot := h.snapshot(t, h.create(t, "v").GetVolumeId())
	if !snapshot.GetCreationTime().AsTime().Equal(h.clock.Now()) || snapshot.GetReadyToUse() || snapshot.GetSizeBytes() != gib {
		t.Errorf("snapshot = %v, want cut now, 1 GiB, not ready", snapshot)
	}
	restore := createRequest("restored")
	restore.VolumeContentSource = contentSource(cluster.Source{SnapshotID: snapshot.GetSnapshotId()})
	_, err := h.CreateVolume(t.Context(), restore)
	wantCode(t, err, codes.Unavailable, "not ready")

	h.clock.Step(time.Minute)
	entries := h.listSnapshots(t, &csi.ListSnapshotsRequest{SnapshotId: snapshot.GetSnapshotId()})
	if len(entries) != 1 || !entries[0].GetSnapshot().GetReadyToUse() {
		t.Errorf("entries = %v, want the snapshot, ready", entries)
	}
	restored, err := h.CreateVolume(t.Context(), restore)
	if err != nil {
		t.Fatal(err)
	}
	if got := restored.GetVolume().GetContentSource().GetSnapshot().GetSnapshotId(); got != snapshot.GetSnapshotId() {
		t.Errorf("content source = %q, want the snapshot: the provisioner deletes a volume without it", got)
	}
}

func TestListAndDeleteSnapshots(t *testing.T) {
	h := newHarness(t)
	source := h.create(t, "v").GetVolumeId()
	id := h.snapshot(t, source).GetSnapshotId()
	for name, tc := range map[string]struct {
		request *csi.ListSnapshotsRequest
		want    int
	}{
		"all":                       {&csi.ListSnapshotsRequest{}, 1},
		"of the volume":             {&csi.ListSnapshotsRequest{SourceVolumeId: source}, 1},
		"of another volume":         {&csi.ListSnapshotsRequest{SourceVolumeId: "vol-other"}, 0},
		"of an id":                  {&csi.ListSnapshotsRequest{SnapshotId: id}, 1},
		"of an id that is not here": {&csi.ListSnapshotsRequest{SnapshotId: "snap-other"}, 0},
	} {
		if got := len(h.listSnapshots(t, tc.request)); got != tc.want {
			t.Errorf("%s: %d snapshots, want %d", name, got, tc.want)
		}
	}
	for range 2 {
		_, err := h.DeleteSnapshot(t.Context(), &csi.DeleteSnapshotRequest{SnapshotId: id})
		wantCode(t, err, codes.OK)
	}
	if entries := h.listSnapshots(t, &csi.ListSnapshotsRequest{}); len(entries) != 0 {
		t.Errorf("entries = %v after deleting, want none", entries)
	}
}

func TestSnapshotErrors(t *testing.T) {
	h := newHarness(t)
	r := &csi.CreateSnapshotRequest{
		Name: "s", SourceVolumeId: h.create(t, "v").GetVolumeId(), Parameters: map[string]string{"type": "cloud"},
	}
	_, err := h.CreateSnapshot(t.Context(), r)
	wantCode(t, err, codes.InvalidArgument, "type", `"cloud"`)
	_, err = h.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{Name: "s"})
	wantCode(t, err, codes.InvalidArgument, "source_volume_id")
	_, err = h.DeleteSnapshot(t.Context(), &csi.DeleteSnapshotRequest{})
	wantCode(t, err, codes.InvalidArgument, "snapshot_id")
}

func (h *harness) listSnapshots(t *testing.T, r *csi.ListSnapshotsRequest) []*csi.ListSnapshotsResponse_Entry {
	t.Helper()
	response, err := h.ListSnapshots(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return response.GetEntries()
}

func TestClone(t *testing.T) {
	h := newHarness(t)
	source := h.create(t, "v").GetVolumeId()
	r := createRequest("clone")
	r.VolumeContentSource = contentSource(cluster.Source{VolumeHandle: source})
	response, err := h.CreateVolume(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got := response.GetVolume().GetContentSource().GetVolume().GetVolumeId(); got != source {
		t.Errorf("content source = %q, want %q", got, source)
	}
}

func TestCodeOfEveryReason(t *testing.T) {
	for reason, want := range map[cluster.Reason]codes.Code{
		cluster.Invalid: codes.InvalidArgument, cluster.OutOfRange: codes.OutOfRange, cluster.NotFound: codes.NotFound,
		cluster.Exists: codes.AlreadyExists, cluster.Exhausted: codes.ResourceExhausted, cluster.Internal: codes.Internal,
		cluster.Precondition: codes.FailedPrecondition, cluster.Unavailable: codes.Unavailable,
	} {
		wantCode(t, asStatus(&cluster.Error{Reason: reason, Message: "m"}), want, "m")
	}
}

func idsOf(response *csi.ListVolumesResponse) []string {
	var ids []string
	for _, entry := range response.GetEntries() {
		ids = append(ids, entry.GetVolume().GetVolumeId())
	}
	return ids
}
