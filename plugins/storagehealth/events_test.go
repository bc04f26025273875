// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	st "k8s.io/kubernetes/pkg/scheduler/testing"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/plugins"
)

// hintTests have the pod of "data", a volume of the driver, and storage that is offline on b and Unhealthy on c.
var hintTests = map[string]struct {
	resource      fwk.EventResource
	before, after any
	want          fwk.QueueingHint
}{
	"the driver registers on a new node":    {fwk.CSINode, nil, csiNode("d", provisioner), fwk.Queue},
	"the driver registers on a node":        {fwk.CSINode, csiNode("a", other), csiNode("a", other, provisioner), fwk.Queue},
	"another driver registers":              {fwk.CSINode, csiNode("a", provisioner), csiNode("a", other, provisioner), fwk.QueueSkip},
	"a driver leaves a node":                {fwk.CSINode, csiNode("a", other, provisioner), csiNode("a", provisioner), fwk.QueueSkip},
	"a node without drivers is made":        {fwk.CSINode, nil, csiNode("d"), fwk.QueueSkip},
	"something else of a CSINode changes":   {fwk.CSINode, csiNode("a", provisioner), csiNode("a", provisioner), fwk.QueueSkip},
	"an event of another kind":              {fwk.CSINode, nil, &corev1.Node{}, fwk.Queue},
	"a node comes that has the driver":      {fwk.Node, nil, st.MakeNode().Name("a").Obj(), fwk.Queue},
	"a node comes whose driver is to come":  {fwk.Node, nil, st.MakeNode().Name("d").Obj(), fwk.QueueSkip},
	"a node comes whose storage is offline": {fwk.Node, nil, st.MakeNode().Name("b").Obj(), fwk.QueueSkip},
	"a node comes with a bad verdict":       {fwk.Node, nil, st.MakeNode().Name("c").Obj(), fwk.QueueSkip},
	"a taint of a node goes":                {fwk.Node, st.MakeNode().Name("a").Unschedulable(true).Obj(), st.MakeNode().Name("a").Obj(), fwk.QueueSkip},
	"its claim is made":                     {fwk.PersistentVolumeClaim, nil, builders.MakeClaim("data").Obj(), fwk.Queue},
	"another claim is made":                 {fwk.PersistentVolumeClaim, nil, builders.MakeClaim("more").Obj(), fwk.QueueSkip},
	"a claim of its name is made elsewhere": {fwk.PersistentVolumeClaim, nil, inNamespace("elsewhere", builders.MakeClaim("data").Obj()), fwk.QueueSkip},
	"the claim of its ephemeral volume":     {fwk.PersistentVolumeClaim, nil, builders.MakeClaim("db-0-scratch").Obj(), fwk.Queue},
}

func inNamespace(namespace string, claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	claim.Namespace = namespace
	return claim
}

func TestQueueingHints(t *testing.T) {
	f := newFixture(t, world{
		states:       map[part]drivers.StorageState{on("b"): drivers.Offline},
		storageNodes: map[part]plugins.StorageNode{on("c"): {State: storagev1alpha1.HealthUnhealthy}},
		objects:      slices.Concat(installed(provisioner, other), csi("data", provisioner)),
	})
	events, err := f.pl.EventsToRegister(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pod := newPod("db-0", "data")
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}})
	for name, tc := range hintTests {
		t.Run(name, func(t *testing.T) {
			at := slices.IndexFunc(events, func(e fwk.ClusterEventWithHint) bool { return e.Event.Resource == tc.resource })
			if at < 0 {
				t.Fatalf("no event of %s is registered", tc.resource)
			}
			got, err := events[at].QueueingHintFn(klog.FromContext(t.Context()), pod, tc.before, tc.after)
			if _, mistaken := tc.after.(*corev1.Node); (err != nil) != (mistaken && tc.resource == fwk.CSINode) {
				t.Errorf("error = %v", err)
			}
			if got != tc.want {
				t.Errorf("hint = %v, want %v", got, tc.want)
			}
		})
	}
}

// A plugin that names only that nodes are added is given a hint for their taints that has it try every pod again.
func TestTaintsHaveAHint(t *testing.T) {
	events, err := (&StorageHealth{}).EventsToRegister(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Event.Resource == fwk.Node && e.Event.ActionType&fwk.UpdateNodeTaint == 0 {
			t.Error("taints of nodes have no hint")
		}
	}
}
