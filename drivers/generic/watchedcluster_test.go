// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cachetesting "k8s.io/client-go/tools/cache/testing"
	clocktesting "k8s.io/utils/clock/testing"

	"roost.dev/roost/drivers"
	"roost.dev/roost/drivers/drivertest"
	"roost.dev/roost/internal/mirror/mirrortest"
)

// silence is a lease that nobody renews.
type silence struct{}

func (silence) Get(context.Context, string, metav1.GetOptions) (*coordinationv1.Lease, error) {
	return &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{RenewTime: &metav1.MicroTime{Time: today}}}, nil
}

// watchedCluster is a cluster in which health is watched and a second passes each millisecond.
type watchedCluster struct {
	*cluster
	csiNodes, pods objects
	api            *mirrortest.API
	clock          *clocktesting.FakeClock
}

func newWatchedCluster(t *testing.T) *watchedCluster {
	c := &watchedCluster{
		cluster:  newCluster(t),
		csiNodes: objects{cachetesting.NewFakeControllerSource()},
		pods:     objects{cachetesting.NewFakeControllerSource()},
		api:      mirrortest.New(),
		clock:    clocktesting.NewFakeClock(today),
	}
	c.inform(&storagev1.CSINode{}, c.csiNodes)
	c.inform(&corev1.Pod{}, c.pods)
	for _, name := range drivertest.Nodes() {
		c.setReady(name, corev1.ConditionTrue)
	}
	return c
}

func (c *watchedCluster) setReady(name string, ready corev1.ConditionStatus) {
	object := newNode(name)
	object.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}
	object.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: addressOf(name)}}
	c.nodes.Modify(object)
}

func addressOf(name string) string {
	return fmt.Sprintf("10.0.0.%d", 1+slices.Index(drivertest.Nodes(), name))
}

func (c *watchedCluster) Driver(t *testing.T) drivers.Driver {
	source, err := New(Options{Informers: c.informers, Client: c.api, Clock: c.clock, Health: newHealthOptions(silence{})})
	if err != nil {
		t.Fatalf("making the driver: %v", err)
	}
	c.informers.Start(t.Context().Done())
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { defer close(ended); c.letTimePass(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return source.Driver()
}

func (c *watchedCluster) letTimePass(ctx context.Context) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.clock.Step(time.Second)
		}
	}
}

func (c *watchedCluster) Report(t *testing.T, name string, state drivers.StorageState) {
	switch state {
	case drivers.Online:
		object := newCSINode(today, driver)
		object.Name = name
		c.csiNodes.Modify(object)
		c.setReady(name, corev1.ConditionTrue)
	case drivers.Offline:
		c.setReady(name, corev1.ConditionUnknown)
	default:
		t.Fatalf("Kubernetes' objects do not say %s", state)
	}
}

func (c *watchedCluster) Fence(_ *testing.T, _ drivers.VolumeID, name string, fenced bool) {
	fence := newFence("fence-of-"+name, addressOf(name)+"/32")
	if fenced {
		c.api.Write(fence)
		return
	}
	c.api.Remove(fence)
}
