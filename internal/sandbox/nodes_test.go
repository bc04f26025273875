// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
)

func TestNodesAreSpreadEvenly(t *testing.T) {
	nodes := Nodes{Count: 300, Zones: 3, Racks: 30}
	inRack, inZone, zoneOf := map[string]int{}, map[string]int{}, map[string]string{}
	for i := range nodes.Count {
		rack, zone := nodes.place(i)
		inRack[rack]++
		inZone[zone]++
		if other, ok := zoneOf[rack]; ok && other != zone {
			t.Errorf("rack %s is in zones %s and %s, want one", rack, other, zone)
		}
		zoneOf[rack] = zone
	}
	racksInZone := map[string]int{}
	for _, zone := range zoneOf {
		racksInZone[zone]++
	}
	for rack, count := range inRack {
		if count != 10 {
			t.Errorf("rack %s has %d nodes, want 10", rack, count)
		}
	}
	if diff := cmp.Diff(map[string]int{"zone-0": 100, "zone-1": 100, "zone-2": 100}, inZone); diff != "" {
		t.Errorf("nodes by zone (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"zone-0": 10, "zone-1": 10, "zone-2": 10}, racksInZone); diff != "" {
		t.Errorf("racks by zone (-want +got):\n%s", diff)
	}
}

func TestNodesThatDoNotDivideDifferByOne(t *testing.T) {
	nodes, inRack := Nodes{Count: 10, Zones: 2, Racks: 4}, map[string]int{}
	for i := range nodes.Count {
		rack, _ := nodes.place(i)
		inRack[rack]++
	}
	for rack, count := range inRack {
		if count < 2 || count > 3 {
			t.Errorf("rack %s has %d nodes, want 2 or 3", rack, count)
		}
	}
	if len(inRack) != 4 {
		t.Errorf("%d racks have nodes, want 4", len(inRack))
	}
}

func TestNode(t *testing.T) {
	nodes := Options{Nodes: Nodes{Count: 300, Zones: 3, Racks: 30, Volumes: 7}}.withDefaults().Nodes
	node := nodes.node(123, false)
	wantLabels := map[string]string{
		"kubernetes.io/hostname":        "node-123",
		"kubernetes.io/os":              "linux",
		"topology.kubernetes.io/rack":   "rack-12",
		"topology.kubernetes.io/zone":   "zone-1",
		"topology.kubernetes.io/region": "region-1",
		"type":                          "kwok",
		"sim.roost.dev/storage":         "true",
		"sim.roost.dev/kubelet":         "alive",
	}
	if diff := cmp.Diff(wantLabels, node.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if cpu := node.Status.Allocatable.Cpu().String(); cpu != "8" {
		t.Errorf("allocatable CPU is %s, want 8", cpu)
	}
	if schedulable(node) {
		t.Error("a node for kwok is Ready from the beginning, want kwok to make it so")
	}
	if !schedulable(nodes.node(123, true)) {
		t.Error("a node without kwok is not Ready, want it Ready: nobody else would make it so")
	}
	node.Spec.Taints = []corev1.Taint{{Key: "node.kubernetes.io/not-ready"}}
	if node.Status.Conditions = nodes.node(123, true).Status.Conditions; schedulable(node) {
		t.Error("a tainted node counts as Ready, want it to be waited for")
	}
	driver := nodes.csiNode(node).Spec.Drivers[0]
	if driver.NodeID != "node-123" || *driver.Allocatable.Count != 7 {
		t.Errorf("CSINode driver is %+v, want node id node-123 and 7 volumes", driver)
	}
}

func TestKubeletEndpointIsOnLoopback(t *testing.T) {
	node := Nodes{Count: 1, Racks: 1, Zones: 1}.node(0, false)
	setKubeletEndpoint(node, 4711)
	want := []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}, {Type: corev1.NodeHostName, Address: "node-000"}}
	if diff := cmp.Diff(want, node.Status.Addresses); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	if got := node.Status.DaemonEndpoints.KubeletEndpoint.Port; got != 4711 {
		t.Errorf("port = %d, want 4711", got)
	}
}

func TestStartedContainersHaveIDs(t *testing.T) {
	stage := withContainerIDs(podfast.DefaultPodReady)
	if got := strings.Count(stage, "containerID: kwok://"); got != 2 {
		t.Errorf("%d container ids in kwok's stage, want one each for containers and init containers:\n%s", got, stage)
	}
}
