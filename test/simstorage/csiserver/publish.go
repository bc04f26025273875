// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package csiserver

import (
	"context"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"roost.dev/roost/test/simstorage/cluster"
)

// ControllerPublishVolume attaches a volume to a node.
func (s *Server) ControllerPublishVolume(_ context.Context, r *csi.ControllerPublishVolumeRequest) (*csi.ControllerPublishVolumeResponse, error) {
	switch {
	case r.GetVolumeId() == "":
		return nil, required("volume_id")
	case r.GetNodeId() == "":
		return nil, required("node_id")
	case r.GetVolumeCapability() == nil:
		return nil, required("volume_capability")
	}
	sharing, readOnly, err := parseCapability(r.GetVolumeCapability())
	if err != nil {
		return nil, err
	}
	attach := cluster.Attach{Handle: r.GetVolumeId(), Node: r.GetNodeId(), Sharing: sharing, ReadOnly: readOnly || r.GetReadonly()}
	if err := s.cluster.AttachVolume(attach); err != nil {
		return nil, err
	}
	return &csi.ControllerPublishVolumeResponse{}, nil
}

// ControllerUnpublishVolume detaches a volume from a node, or from all nodes when none is named. Success is proof that
// the node can no longer write to it.
func (s *Server) ControllerUnpublishVolume(_ context.Context, r *csi.ControllerUnpublishVolumeRequest) (*csi.ControllerUnpublishVolumeResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, required("volume_id")
	}
	if err := s.cluster.DetachVolume(r.GetVolumeId(), r.GetNodeId()); err != nil {
		return nil, err
	}
	return &csi.ControllerUnpublishVolumeResponse{}, nil
}
