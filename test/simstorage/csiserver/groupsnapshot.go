// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package csiserver

import (
	"context"
	"errors"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/types/known/timestamppb"

	"roost.dev/roost/test/simstorage/cluster"
)

// GroupControllerGetCapabilities says that snapshots of several volumes can be taken at one moment.
func (s *Server) GroupControllerGetCapabilities(
	context.Context, *csi.GroupControllerGetCapabilitiesRequest,
) (*csi.GroupControllerGetCapabilitiesResponse, error) {
	return &csi.GroupControllerGetCapabilitiesResponse{Capabilities: []*csi.GroupControllerServiceCapability{{
		Type: &csi.GroupControllerServiceCapability_Rpc{Rpc: &csi.GroupControllerServiceCapability_RPC{
			Type: csi.GroupControllerServiceCapability_RPC_CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT,
		}},
	}}}, nil
}

// CreateVolumeGroupSnapshot takes a snapshot of each volume, all or none, at one moment.
func (s *Server) CreateVolumeGroupSnapshot(
	ctx context.Context, r *csi.CreateVolumeGroupSnapshotRequest,
) (*csi.CreateVolumeGroupSnapshotResponse, error) {
	if err := validateSnapshotParameters(r.GetParameters()); err != nil {
		return nil, err
	}
	if err := s.waitForCut(ctx, r.GetName(), r.GetSourceVolumeIds()...); err != nil {
		return nil, err
	}
	s.copying.Lock()
	defer s.copying.Unlock()
	known := s.cluster.IsCut(r.GetName())
	group, err := s.cluster.CreateGroupSnapshot(r.GetName(), r.GetSourceVolumeIds())
	if err != nil {
		return nil, err
	}
	if !known {
		handles := map[string]string{}
		for _, member := range group.Snapshots {
			handles[member.ID] = member.SourceHandle
		}
		if err := s.content.Cut(handles); err != nil {
			return nil, errors.Join(notCopied(err), s.cluster.DeleteGroupSnapshot(group.ID, nil))
		}
	}
	return &csi.CreateVolumeGroupSnapshotResponse{GroupSnapshot: groupMessage(group)}, nil
}

// DeleteVolumeGroupSnapshot deletes a group with its members.
func (s *Server) DeleteVolumeGroupSnapshot(
	_ context.Context, r *csi.DeleteVolumeGroupSnapshotRequest,
) (*csi.DeleteVolumeGroupSnapshotResponse, error) {
	if r.GetGroupSnapshotId() == "" {
		return nil, required("group_snapshot_id")
	}
	s.copying.Lock()
	defer s.copying.Unlock()
	group, err := s.cluster.GroupSnapshot(r.GetGroupSnapshotId(), r.GetSnapshotIds())
	if cluster.ReasonOf(err) == cluster.NotFound {
		return &csi.DeleteVolumeGroupSnapshotResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	// The content goes first: where that fails, the group is still there for the next call to know its members by.
	for _, member := range group.Snapshots {
		if err := s.content.RemoveSnapshot(member.ID); err != nil {
			return nil, notCopied(err)
		}
	}
	if err := s.cluster.DeleteGroupSnapshot(group.ID, nil); err != nil {
		return nil, err
	}
	return &csi.DeleteVolumeGroupSnapshotResponse{}, nil
}

// GetVolumeGroupSnapshot returns one group with its members.
func (s *Server) GetVolumeGroupSnapshot(
	_ context.Context, r *csi.GetVolumeGroupSnapshotRequest,
) (*csi.GetVolumeGroupSnapshotResponse, error) {
	if r.GetGroupSnapshotId() == "" {
		return nil, required("group_snapshot_id")
	}
	group, err := s.cluster.GroupSnapshot(r.GetGroupSnapshotId(), r.GetSnapshotIds())
	if err != nil {
		return nil, err
	}
	return &csi.GetVolumeGroupSnapshotResponse{GroupSnapshot: groupMessage(group)}, nil
}

func groupMessage(group cluster.GroupSnapshot) *csi.VolumeGroupSnapshot {
	message := &csi.VolumeGroupSnapshot{
		GroupSnapshotId: group.ID, CreationTime: timestamppb.New(group.ReportedTime), ReadyToUse: group.Ready,
	}
	for _, member := range group.Snapshots {
		message.Snapshots = append(message.Snapshots, snapshotMessage(member))
	}
	return message
}
