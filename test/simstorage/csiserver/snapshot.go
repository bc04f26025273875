// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package csiserver

import (
	"context"
	"errors"
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
func (s *Server) CreateSnapshot(ctx context.Context, r *csi.CreateSnapshotRequest) (*csi.CreateSnapshotResponse, error) {
	if r.GetSourceVolumeId() == "" {
		return nil, required("source_volume_id")
	}
	if err := validateSnapshotParameters(r.GetParameters()); err != nil {
		return nil, err
	}
	if err := s.waitForCut(ctx, r.GetName(), r.GetSourceVolumeId()); err != nil {
		return nil, err
	}
	s.copying.Lock()
	defer s.copying.Unlock()
	known := s.cluster.IsCut(r.GetName())
	snapshot, err := s.cluster.CreateSnapshot(r.GetName(), r.GetSourceVolumeId())
	if err != nil {
		return nil, err
	}
	if !known {
		if err := s.content.Cut(map[string]string{snapshot.ID: snapshot.SourceHandle}); err != nil {
			return nil, errors.Join(notCopied(err), s.cluster.DeleteSnapshot(snapshot.ID))
		}
	}
	return &csi.CreateSnapshotResponse{Snapshot: snapshotMessage(snapshot)}, nil
}

// waitForCut lets the time of the fault pass before the cut. A snapshot that is cut already does not wait.
func (s *Server) waitForCut(ctx context.Context, name string, handles ...string) error {
	if s.cluster.IsCut(name) {
		return nil
	}
	return s.pause(ctx, s.cluster.CutDelay(handles...))
}

func validateSnapshotParameters(parameters map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(parameters)) {
		if !strings.HasPrefix(key, sidecarPrefix) {
			return status.Errorf(codes.InvalidArgument, "parameter %s: unknown parameter (value %q): a snapshot has none", key, parameters[key])
		}
	}
	return nil
}

// DeleteSnapshot deletes a snapshot that is part of no group.
func (s *Server) DeleteSnapshot(_ context.Context, r *csi.DeleteSnapshotRequest) (*csi.DeleteSnapshotResponse, error) {
	if r.GetSnapshotId() == "" {
		return nil, required("snapshot_id")
	}
	s.copying.Lock()
	defer s.copying.Unlock()
	if err := s.cluster.DeleteSnapshot(r.GetSnapshotId()); err != nil {
		return nil, err
	}
	if err := s.content.RemoveSnapshot(r.GetSnapshotId()); err != nil {
		return nil, notCopied(err)
	}
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
		SnapshotId: s.ID, SourceVolumeId: s.SourceHandle, SizeBytes: s.ReportedBytes,
		CreationTime: timestamppb.New(s.ReportedTime), ReadyToUse: s.Ready, GroupSnapshotId: s.GroupID,
	}
}
