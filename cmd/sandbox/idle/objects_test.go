// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package idle

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/sets"
)

func TestPlaceSpreadsClaims(t *testing.T) {
	opts := Options{Nodes: 20, Claims: 200}
	pods, names := map[string]int{}, sets.New[string]()
	for i := range opts.Claims {
		p := place(i, opts)
		pods[p.node()]++
		names.Insert(p.name, p.handle, p.attachment().Name)
		if distinct := sets.New(p.nodes...); len(distinct) != replicas {
			t.Errorf("claim %d has its replicas on %q, want %d nodes", i, p.nodes, replicas)
		}
	}
	if len(pods) != opts.Nodes || pods["node-000"] != 10 || pods["node-019"] != 10 {
		t.Errorf("pods a node: %v, want 10 on each of 20", pods)
	}
	if len(names) != 3*opts.Claims {
		t.Errorf("%d names, want %d: none twice", len(names), 3*opts.Claims)
	}
}

func TestObjectsReferToEachOther(t *testing.T) {
	p := place(3, Options{Nodes: 4, Claims: 8})
	claim, volume, pod, attachment, topology := p.claim(), p.volume("uid"), p.pod(), p.attachment(), p.topology()
	got := []string{
		claim.Spec.VolumeName, volume.Spec.ClaimRef.Name, string(volume.Spec.ClaimRef.UID), pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName,
		*attachment.Spec.Source.PersistentVolumeName, topology.Spec.VolumeHandle, volume.Spec.CSI.VolumeHandle,
		pod.Spec.NodeName, attachment.Spec.NodeName, topology.Status.AttachedNodes[0], topology.Status.Replicas[0].NodeName,
		topology.Status.Replicas[2].NodeName,
	}
	want := []string{
		volume.Name, claim.Name, "uid", claim.Name,
		volume.Name, p.handle, p.handle,
		"node-003", "node-003", "node-003", "node-003",
		"node-001",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("references (-want +got):\n%s", diff)
	}
}
