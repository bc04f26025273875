// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package csiserver

import (
	"context"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"roost.dev/roost/test/simstorage/cluster"
)

// ControllerGetCapabilities lists what the controller can do.
func (s *Server) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	response := &csi.ControllerGetCapabilitiesResponse{}
	for _, kind := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_PUBLISH_UNPUBLISH_VOLUME,
		csi.ControllerServiceCapability_RPC_PUBLISH_READONLY,
		csi.ControllerServiceCapability_RPC_LIST_VOLUMES,
		csi.ControllerServiceCapability_RPC_LIST_VOLUMES_PUBLISHED_NODES,
		csi.ControllerServiceCapability_RPC_GET_VOLUME,
		csi.ControllerServiceCapability_RPC_GET_CAPACITY,
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
		csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS,
		csi.ControllerServiceCapability_RPC_CLONE_VOLUME,
		csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
		csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		response.Capabilities = append(response.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: kind}},
		})
	}
	return response, nil
}

// ValidateVolumeCapabilities confirms what CreateVolume would accept.
func (s *Server) ValidateVolumeCapabilities(_ context.Context, r *csi.ValidateVolumeCapabilitiesRequest) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, required("volume_id")
	}
	if len(r.GetVolumeCapabilities()) == 0 {
		return nil, required("volume_capabilities")
	}
	if _, err := s.cluster.Volume(r.GetVolumeId()); err != nil {
		return nil, err
	}
	if why := unsupported(r); why != "" {
		return &csi.ValidateVolumeCapabilitiesResponse{Message: why}, nil
	}
	return &csi.ValidateVolumeCapabilitiesResponse{Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
		VolumeContext: r.GetVolumeContext(), VolumeCapabilities: r.GetVolumeCapabilities(), Parameters: r.GetParameters(),
	}}, nil
}

// unsupported says why a volume cannot be what the request asks for; that is an answer, not an error.
func unsupported(r *csi.ValidateVolumeCapabilitiesRequest) string {
	if err := validateCapabilities(r.GetVolumeCapabilities()); err != nil {
		return status.Convert(err).Message()
	}
	if _, err := cluster.ParseClass(r.GetParameters()); err != nil {
		return err.Error()
	}
	return ""
}

func validateCapabilities(capabilities []*csi.VolumeCapability) error {
	if len(capabilities) == 0 {
		return required("volume_capabilities")
	}
	for _, capability := range capabilities {
		if _, _, err := parseCapability(capability); err != nil {
			return err
		}
	}
	return nil
}

// parseCapability returns on how many nodes the volume may be, and whether only to read.
func parseCapability(capability *csi.VolumeCapability) (sharing cluster.Sharing, readOnly bool, err error) {
	if capability.GetBlock() == nil && capability.GetMount() == nil {
		return "", false, status.Error(codes.InvalidArgument, "volume_capability.access_type: must be block or mount")
	}
	switch mode := capability.GetAccessMode().GetMode(); mode {
	case csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER,
		csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER,
		csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER:
		return cluster.SingleNode, false, nil
	case csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY:
		return cluster.SingleNode, true, nil
	case csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY:
		return cluster.Shared, true, nil
	case csi.VolumeCapability_AccessMode_MULTI_NODE_SINGLE_WRITER:
		return cluster.SingleWriter, false, nil
	case csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER:
		return cluster.Shared, false, nil
	default:
		return "", false, status.Errorf(codes.InvalidArgument, "volume_capability.access_mode: invalid value %s: must be a single-node or multi-node mode", mode)
	}
}
