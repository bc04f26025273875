// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package csiserver

import (
	"context"
	"errors"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/test/simstorage/cluster"
)

// CreateVolume creates a volume from nothing, a volume or a snapshot.
func (s *Server) CreateVolume(_ context.Context, r *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	if err := validateCapabilities(r.GetVolumeCapabilities()); err != nil {
		return nil, err
	}
	if len(r.GetMutableParameters()) > 0 {
		return nil, status.Error(codes.InvalidArgument, "mutable_parameters: must be empty: a VolumeAttributesClass is not supported")
	}
	class, err := cluster.ParseClass(r.GetParameters())
	if err != nil {
		return nil, err
	}
	source, err := sourceOf(r.GetVolumeContentSource())
	if err != nil {
		return nil, err
	}
	s.copying.Lock()
	defer s.copying.Unlock()
	known := s.cluster.HasVolume(r.GetName())
	v, err := s.cluster.CreateVolume(cluster.VolumeRequest{
		Name:          r.GetName(),
		RequiredBytes: r.GetCapacityRange().GetRequiredBytes(),
		LimitBytes:    r.GetCapacityRange().GetLimitBytes(),
		Class:         class,
		Source:        source,
		Requirement: cluster.Requirement{
			Requisite: segmentsOf(r.GetAccessibilityRequirements().GetRequisite()),
			Preferred: segmentsOf(r.GetAccessibilityRequirements().GetPreferred()),
		},
	})
	if err != nil {
		return nil, err
	}
	if !known {
		if err := s.fill(v); err != nil {
			return nil, errors.Join(notCopied(err), s.cluster.DeleteVolume(v.Handle))
		}
	}
	return &csi.CreateVolumeResponse{Volume: volumeMessage(v)}, nil
}

// fill gives a new volume the content of its source.
func (s *Server) fill(v cluster.Volume) error {
	switch {
	case v.Source.SnapshotID != "":
		return s.content.Restore(v.Handle, v.Source.SnapshotID)
	case v.Source.VolumeHandle != "":
		return s.content.Clone(v.Handle, v.Source.VolumeHandle)
	default:
		return nil
	}
}

// DeleteVolume deletes a volume that is published nowhere.
func (s *Server) DeleteVolume(_ context.Context, r *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, required("volume_id")
	}
	s.copying.Lock()
	defer s.copying.Unlock()
	if err := s.cluster.DeleteVolume(r.GetVolumeId()); err != nil {
		return nil, err
	}
	if err := s.content.RemoveVolume(r.GetVolumeId()); err != nil {
		return nil, notCopied(err)
	}
	return &csi.DeleteVolumeResponse{}, nil
}

// ControllerExpandVolume makes a volume larger. The node has nothing to do.
func (s *Server) ControllerExpandVolume(_ context.Context, r *csi.ControllerExpandVolumeRequest) (*csi.ControllerExpandVolumeResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, required("volume_id")
	}
	if r.GetCapacityRange() == nil {
		return nil, required("capacity_range")
	}
	v, err := s.cluster.ExpandVolume(r.GetVolumeId(), r.GetCapacityRange().GetRequiredBytes(), r.GetCapacityRange().GetLimitBytes())
	if err != nil {
		return nil, err
	}
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: v.SizeBytes}, nil
}

// ControllerGetVolume returns one volume and where it is published.
func (s *Server) ControllerGetVolume(_ context.Context, r *csi.ControllerGetVolumeRequest) (*csi.ControllerGetVolumeResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, required("volume_id")
	}
	v, err := s.cluster.Volume(r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	return &csi.ControllerGetVolumeResponse{
		Volume: volumeMessage(v),
		Status: &csi.ControllerGetVolumeResponse_VolumeStatus{PublishedNodeIds: v.Attached},
	}, nil
}

// ListVolumes returns volumes and where they are published, sorted by id.
func (s *Server) ListVolumes(_ context.Context, r *csi.ListVolumesRequest) (*csi.ListVolumesResponse, error) {
	volumes, next, err := page(s.cluster.Volumes(), func(v cluster.Volume) string { return v.Handle }, r)
	if err != nil {
		return nil, err
	}
	response := &csi.ListVolumesResponse{NextToken: next}
	for _, v := range volumes {
		response.Entries = append(response.Entries, &csi.ListVolumesResponse_Entry{
			Volume: volumeMessage(v),
			Status: &csi.ListVolumesResponse_VolumeStatus{PublishedNodeIds: v.Attached},
		})
	}
	return response, nil
}

// GetCapacity returns the room for volumes of a class in a topology.
func (s *Server) GetCapacity(_ context.Context, r *csi.GetCapacityRequest) (*csi.GetCapacityResponse, error) {
	class, err := cluster.ParseClass(r.GetParameters())
	if err != nil {
		return nil, err
	}
	capacity, err := s.cluster.Capacity(class, r.GetAccessibleTopology().GetSegments())
	if err != nil {
		return nil, err
	}
	return &csi.GetCapacityResponse{
		AvailableCapacity: capacity.AvailableBytes,
		MaximumVolumeSize: wrapperspb.Int64(capacity.MaximumVolumeBytes),
	}, nil
}

// volumeMessage names no topology for a volume that any node can mount: its PersistentVolume then has no nodeAffinity.
func volumeMessage(v cluster.Volume) *csi.Volume {
	message := &csi.Volume{VolumeId: v.Handle, CapacityBytes: v.SizeBytes, ContentSource: contentSource(v.Source)}
	if v.Class.Access == cluster.AccessReplicas {
		for _, hostname := range v.Hostnames {
			message.AccessibleTopology = append(message.AccessibleTopology, &csi.Topology{
				Segments: map[string]string{corev1.LabelHostname: hostname},
			})
		}
	}
	return message
}

func sourceOf(source *csi.VolumeContentSource) (cluster.Source, error) {
	switch {
	case source == nil:
		return cluster.Source{}, nil
	case source.GetVolume().GetVolumeId() != "":
		return cluster.Source{VolumeHandle: source.GetVolume().GetVolumeId()}, nil
	case source.GetSnapshot().GetSnapshotId() != "":
		return cluster.Source{SnapshotID: source.GetSnapshot().GetSnapshotId()}, nil
	default:
		return cluster.Source{}, required("volume_content_source")
	}
}

func contentSource(source cluster.Source) *csi.VolumeContentSource {
	switch {
	case source.VolumeHandle != "":
		return &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Volume{
			Volume: &csi.VolumeContentSource_VolumeSource{VolumeId: source.VolumeHandle},
		}}
	case source.SnapshotID != "":
		return &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{
			Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: source.SnapshotID},
		}}
	default:
		return nil
	}
}

func segmentsOf(topologies []*csi.Topology) []cluster.Segments {
	segments := make([]cluster.Segments, 0, len(topologies))
	for _, topology := range topologies {
		segments = append(segments, topology.GetSegments())
	}
	return segments
}
