// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package csiserver

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"roost.dev/roost/test/simstorage/cluster"
)

// sidecarPrefix marks the snapshot parameters that csi-snapshotter adds itself.
const sidecarPrefix = "csi.storage.k8s.io/"

// CreateSnapshot takes a snapshot. Its creation time is the cut; it may become ready later.
func (s *Server) CreateSnapshot(_ context.Context, r *csi.CreateSnapshotRequest) (*csi.CreateSnapshotResponse, error) {
	if r.GetSourceVolumeId() == "" {
		return nil, required("source_volume_id")
	}
	for _, key := range slices.Sorted(maps.Keys(r.GetParameters())) {
		if !strings.HasPrefix(key, sidecarPrefix) {
			return nil, status.Errorf(codes.InvalidArgument, "parameter %s: unknown parameter (value %q): a snapshot has none", key, r.GetParameters()[key])
		}
	}
	snapshot, err := s.cluster.CreateSnapshot(r.GetName(), r.GetSourceVolumeId())
	if err != nil {
		return nil, err
	}
	return &csi.CreateSnapshotResponse{Snapshot: snapshotMessage(snapshot)}, nil
}

// DeleteSnapshot deletes a snapshot.
func (s *Server) DeleteSnapshot(_ context.Context, r *csi.DeleteSnapshotRequest) (*csi.DeleteSnapshotResponse, error) {
	if r.GetSnapshotId() == "" {
		return nil, required("snapshot_id")
	}
	s.cluster.DeleteSnapshot(r.GetSnapshotId())
	return &csi.DeleteSnapshotResponse{}, nil
}

// ListSnapshots returns snapshots, sorted by id: all, those of a volume, or the one of an id.
func (s *Server) ListSnapshots(_ context.Context, r *csi.ListSnapshotsRequest) (*csi.ListSnapshotsResponse, error) {
	wanted := slices.DeleteFunc(s.cluster.Snapshots(), func(snapshot cluster.Snapshot) bool {
		return r.GetSnapshotId() != "" && snapshot.ID != r.GetSnapshotId() ||
			r.GetSourceVolumeId() != "" && snapshot.SourceHandle != r.GetSourceVolumeId()
	})
	snapshots, next, err := page(wanted, func(snapshot cluster.Snapshot) string { return snapshot.ID }, r)
	if err != nil {
		return nil, err
	}
	response := &csi.ListSnapshotsResponse{NextToken: next}
	for _, snapshot := range snapshots {
		response.Entries = append(response.Entries, &csi.ListSnapshotsResponse_Entry{Snapshot: snapshotMessage(snapshot)})
	}
	return response, nil
}

func snapshotMessage(s cluster.Snapshot) *csi.Snapshot {
	return &csi.Snapshot{
		SnapshotId: s.ID, SourceVolumeId: s.SourceHandle, SizeBytes: s.SizeBytes,
		CreationTime: timestamppb.New(s.CutTime), ReadyToUse: s.Ready,
	}
}
