// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"errors"
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/podvolumes"
	"roost.dev/roost/volumelocality/pools"
)

// errPoolsNotRead is for the moment after the scheduler's start in which it is not known what it had promised before.
var errPoolsNotRead = errors.New("what storage pools have to give has not been read yet")

// sourceOf returns the volume that the volume of an unbound claim will be made from. It is false where the volume begins empty,
// where the source is not known, and where it is one of another storage system: nothing is near to that then.
func (pl *VolumeLocality) sourceOf(v *podvolumes.Volume) (drivers.VolumeID, bool) {
	if v.Status != podvolumes.WaitingForConsumer {
		return drivers.VolumeID{}, false
	}
	source, ok := podvolumes.SourceOf(v.Claim)
	if !ok {
		return drivers.VolumeID{}, false
	}
	var id drivers.VolumeID
	switch {
	case source.Group == "" && source.Kind == "PersistentVolumeClaim":
		id, ok = pl.resolver.VolumeOf(source.Namespace, source.Name)
	case source.Group == snapshotv1.GroupName && source.Kind == "VolumeSnapshot":
		id, ok = pl.snapshots.VolumeOf(source.Namespace, source.Name)
	default:
		ok = false
	}
	return id, ok && id.Provisioner == v.Class.Provisioner
}

// need is what a pod's claims of one class ask of its pools.
type need struct {
	class  string
	claims []pools.Claim
}

// requestsOf are what the pod's claims that are bound once it has a node need of that node, by StorageClass; empty where no
// storage system tells how much room it has. A class that is deleted meanwhile takes its claims out of here, and VolumeBinding
// says what is wrong.
func (pl *VolumeLocality) requestsOf(resolved []podvolumes.Volume) ([]*pools.Request, error) {
	needs := pl.needsOf(resolved)
	if len(needs) == 0 {
		return nil, nil
	}
	if !pl.pools.HasSynced() {
		return nil, errPoolsNotRead
	}
	var requests []*pools.Request
	for _, n := range needs {
		if r := pl.pools.Memory().Request(n.class, n.claims); r != nil {
			requests = append(requests, r)
		}
	}
	return requests, nil
}

func (pl *VolumeLocality) needsOf(resolved []podvolumes.Volume) []need {
	var needs []need
	for i := range resolved {
		v := &resolved[i]
		if v.Status != podvolumes.WaitingForConsumer || !pl.tellsRoom(v.Class.Provisioner) {
			continue
		}
		at := slices.IndexFunc(needs, func(n need) bool { return n.class == v.Class.Name })
		if at < 0 {
			at, needs = len(needs), append(needs, need{class: v.Class.Name})
		}
		// Two volumes of a pod may be of one claim.
		if !slices.ContainsFunc(needs[at].claims, func(c pools.Claim) bool { return c.UID == v.Claim.UID }) {
			needs[at].claims = append(needs[at].claims, pools.Claim{UID: v.Claim.UID, Bytes: pools.BytesOf(v.Claim)})
		}
	}
	return needs
}

// tellsRoom says that the CSI driver publishes CSIStorageCapacity objects, and wants them heeded.
func (pl *VolumeLocality) tellsRoom(provisioner string) bool {
	driver, err := pl.csiDrivers.Get(provisioner)
	return err == nil && driver.Spec.StorageCapacity != nil && *driver.Spec.StorageCapacity
}
