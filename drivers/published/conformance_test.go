// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package published

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/drivers/drivertest"
	"roost.dev/roost/internal/mirror/mirrortest"
)

const provisioner = "csi.roost.dev"

// today is when the tests begin.
var today = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func TestConformance(t *testing.T) {
	drivertest.Conformance(t, func(*testing.T) drivertest.Fixture { return newVendor() })
}

// vendor is a storage system that publishes.
type vendor struct {
	api   *mirrortest.API
	clock *clocktesting.FakeClock
}

func newVendor() *vendor {
	return &vendor{api: mirrortest.New(), clock: clocktesting.NewFakeClock(today)}
}

func (v *vendor) newSource(t testing.TB) *Source {
	t.Helper()
	source, err := New(Options{Client: v.api, Clock: v.clock})
	if err != nil {
		t.Fatalf("making the driver: %v", err)
	}
	return source
}

func (v *vendor) Driver(t *testing.T) drivers.Driver {
	return v.newSource(t).Driver()
}

func (v *vendor) Volume(n int) drivers.VolumeID {
	return drivers.VolumeID{Provisioner: provisioner, Handle: fmt.Sprintf("volume-%d", n)}
}

func (v *vendor) Place(_ *testing.T, id drivers.VolumeID, nodes ...string) {
	v.api.Write(newTopologyOf(id.Handle, id, replicas(storagev1alpha1.ReplicaInSync, nodes...)...))
}

func (v *vendor) Remove(_ *testing.T, id drivers.VolumeID) {
	v.api.Remove(newTopologyOf(id.Handle, id))
}

func (v *vendor) Report(_ *testing.T, node string, state drivers.StorageState) {
	v.clock.Step(time.Second)
	v.api.Write(newReport(node, storagev1alpha1.StorageState(state.String()), v.clock.Now()))
}

func (v *vendor) Fence(_ *testing.T, id drivers.VolumeID, node string, fenced bool) {
	object := newTopologyOf(id.Handle, id, replicas(storagev1alpha1.ReplicaInSync, node)...)
	if fenced {
		object.Status.FencedNodes = []string{node}
	}
	v.api.Write(object)
}

func newTopologyOf(name string, id drivers.VolumeID, replicas ...storagev1alpha1.VolumeReplica) *storagev1alpha1.VolumeTopology {
	return &storagev1alpha1.VolumeTopology{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(today)},
		Spec:       storagev1alpha1.VolumeTopologySpec{Provisioner: id.Provisioner, VolumeHandle: id.Handle},
		Status:     storagev1alpha1.VolumeTopologyStatus{Replicas: replicas},
	}
}

func replicas(state storagev1alpha1.ReplicaState, nodes ...string) []storagev1alpha1.VolumeReplica {
	var all []storagev1alpha1.VolumeReplica
	for _, node := range nodes {
		all = append(all, storagev1alpha1.VolumeReplica{NodeName: node, State: state})
	}
	return all
}

func newReport(node string, state storagev1alpha1.StorageState, heartbeat time.Time) *storagev1alpha1.StorageReport {
	return &storagev1alpha1.StorageReport{
		ObjectMeta: metav1.ObjectMeta{Name: provisioner + "-" + node, CreationTimestamp: metav1.NewTime(today)},
		Spec:       storagev1alpha1.StorageReportSpec{Provisioner: provisioner, NodeName: node},
		Status: storagev1alpha1.StorageReportStatus{
			State:         state,
			Message:       "as reported",
			HeartbeatTime: metav1.NewMicroTime(heartbeat),
		},
	}
}
