// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"

	"roost.dev/roost/drivers"
	"roost.dev/roost/drivers/drivertest"
)

// ip is an InternalIP of node-a.
const ip = "10.0.0.5"

// object is a map as decoding makes it.
type object = map[string]any

// newFence is a NetworkFence that has fenced the addresses, and was never edited.
func newFence(name string, cidrs ...any) *unstructured.Unstructured {
	fence := &unstructured.Unstructured{Object: object{
		"apiVersion": "csiaddons.openshift.io/v1alpha1",
		"kind":       "NetworkFence",
		"spec":       object{"driver": driver, "fenceState": "Fenced", "cidrs": cidrs},
		"status":     object{"result": "Succeeded", "message": "fencing operation successful"},
	}}
	fence.SetName(name)
	fence.SetUID(types.UID("uid-of-" + name))
	fence.SetGeneration(1)
	return fence
}

// with is a copy in which one field has another value.
func with(fence *unstructured.Unstructured, value any, fields ...string) *unstructured.Unstructured {
	changed := fence.DeepCopy()
	if err := unstructured.SetNestedField(changed.Object, value, fields...); err != nil {
		panic(err)
	}
	return changed
}

func newClass(name, provisioner string) *unstructured.Unstructured {
	class := &unstructured.Unstructured{Object: object{
		"apiVersion": "csiaddons.openshift.io/v1alpha1", "kind": "NetworkFenceClass", "spec": object{"provisioner": provisioner},
	}}
	class.SetName(name)
	return class
}

// addressed is node-a with these InternalIPs.
func addressed(addresses ...string) *corev1.Node {
	object := newNode(node)
	object.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: node}, {Type: corev1.NodeExternalIP, Address: "192.0.2.9"}}
	for _, address := range addresses {
		object.Status.Addresses = append(object.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: address})
	}
	return object
}

func annotated(object *corev1.Node, addresses string) *corev1.Node {
	object.Annotations = map[string]string{StorageAddresses: addresses}
	return object
}

// fenced says whether there is proof for node-a and a volume of the driver.
func (s *seen) fenced() bool {
	fence, ok := s.fences.prove(volumeA, node)
	if ok == (fence.Message == "") {
		s.t.Errorf("Fenced is %+v, %t: a proof has a message, and what is none has none", fence, ok)
	}
	return ok
}

func (s *seen) put(fences ...*unstructured.Unstructured) {
	for _, fence := range fences {
		if fence.GetKind() == "NetworkFenceClass" {
			s.fences.putClass(klog.Background(), fence)
		} else {
			s.fences.putFence(klog.Background(), fence)
		}
	}
}

type (
	fenceList = []*unstructured.Unstructured

	// proof is what is known of node-a, and whether it proves that the node is cut off.
	proof struct {
		node   *corev1.Node
		fences fenceList
		want   bool
	}
)

func runProofs(t *testing.T, proofs map[string]proof) {
	t.Helper()
	for name, tc := range proofs {
		t.Run(name, func(t *testing.T) {
			s := newSeen(t)
			s.nodeChanged(tc.node)
			s.persistentVolumeChanged(newCSIVolume("pv", volumeA, nil))
			s.put(tc.fences...)
			if got := s.fenced(); got != tc.want {
				t.Errorf("Fenced is %t, want %t", got, tc.want)
			}
			for _, unknown := range []struct {
				id   drivers.VolumeID
				node string
			}{{volumeA, "node-b"}, {volumeA, ""}, {drivers.VolumeID{}, node}, {drivers.VolumeID{Provisioner: "unknown", Handle: "a"}, node}} {
				if _, ok := s.fences.prove(unknown.id, unknown.node); ok {
					t.Errorf("Fenced(%+v, %q) has proof, want none", unknown.id, unknown.node)
				}
			}
		})
	}
}

func TestNetworkFenceProves(t *testing.T) {
	plain, one := newFence("fence", ip+"/32"), addressed(ip)
	deleting := plain.DeepCopy()
	now := metav1.NewTime(today)
	deleting.SetDeletionTimestamp(&now)
	byClass := with(with(plain, "class", "spec", "networkFenceClassName"), "", "spec", "driver")
	runProofs(t, map[string]proof{
		"the node's address":         {node: one, fences: fenceList{plain}, want: true},
		"a range that has it":        {node: one, fences: fenceList{newFence("fence", "10.0.0.0/24")}, want: true},
		"one of several ranges":      {node: one, fences: fenceList{newFence("fence", "10.1.0.0/16", "10.0.0.0/24")}, want: true},
		"by a class of the driver":   {node: one, fences: fenceList{byClass, newClass("class", driver)}, want: true},
		"beside a word that is none": {node: one, fences: fenceList{newFence("fence", "gateway", ip+"/32")}, want: true},

		"no fence":                              {node: one},
		"another address":                       {node: one, fences: fenceList{newFence("fence", "10.0.0.6/32")}},
		"an address that is no range":           {node: one, fences: fenceList{newFence("fence", "10.0.0")}},
		"no addresses at all":                   {node: one, fences: fenceList{newFence("fence")}},
		"of another driver":                     {node: one, fences: fenceList{with(plain, "other.driver", "spec", "driver")}},
		"by a class of another driver":          {node: one, fences: fenceList{byClass, newClass("class", "other.driver")}},
		"by a class that is not known":          {node: one, fences: fenceList{byClass}},
		"by a class, whatever driver is beside": {node: one, fences: fenceList{with(byClass, driver, "spec", "driver"), newClass("class", "other.driver")}},
		"that lets in":                          {node: one, fences: fenceList{with(plain, "Unfenced", "spec", "fenceState")}},
		"without a state, of an older kind":     {node: one, fences: fenceList{with(plain, "", "spec", "fenceState")}},
		"that failed":                           {node: one, fences: fenceList{with(plain, "Failed", "status", "result")}},
		"that has not been worked on":           {node: one, fences: fenceList{with(plain, object{}, "status")}},
		"whose success was to let in":           {node: one, fences: fenceList{with(plain, "unfencing operation successful", "status", "message")}},
		"that is being deleted":                 {node: one, fences: fenceList{deleting}},
		"that was edited before we saw it":      {node: one, fences: fenceList{with(plain, int64(2), "metadata", "generation")}},

		"not where another one lets the address in": {
			node: one, fences: fenceList{plain, with(newFence("other", "10.0.0.0/24"), "Unfenced", "spec", "fenceState")},
		},
		"not beside one by a class that is not known": {
			node: one, fences: fenceList{plain, with(newFence("other", "10.0.0.0/24"), "unknown", "spec", "networkFenceClassName")},
		},
		"beside one by a class that is not known, of other addresses": {
			node: one, fences: fenceList{plain, with(newFence("other", "10.0.1.0/24"), "unknown", "spec", "networkFenceClassName")}, want: true,
		},
		"not where another one has not fenced it yet": {node: one, fences: fenceList{plain, with(newFence("other", "10.0.0.0/24"), object{}, "status")}},
		"where another driver's lets the address in": {
			node: one, want: true,
			fences: fenceList{plain, with(with(newFence("other", "10.0.0.0/24"), "Unfenced", "spec", "fenceState"), "other.driver", "spec", "driver")},
		},
	})
}

func TestNetworkFenceProvesForAllAddressesOfTheNode(t *testing.T) {
	plain := newFence("fence", ip+"/32")
	runProofs(t, map[string]proof{
		"an address in its IPv6 guise": {node: addressed("::ffff:" + ip), fences: fenceList{plain}, want: true},

		"of a node without InternalIP":                  {node: addressed(), fences: fenceList{plain, newFence("external", "192.0.2.9/32")}},
		"of a node without InternalIP but with another": {node: annotated(addressed(), ip), fences: fenceList{plain}},
		"of a node with an address that is none":        {node: addressed(ip, "node-a.example.com"), fences: fenceList{plain}},
		"of only one of two addresses":                  {node: addressed(ip, "fd00::5"), fences: fenceList{plain}},
		"of a node whose storage address is free":       {node: annotated(addressed(ip), "10.9.0.5"), fences: fenceList{plain}},
		"of a node whose storage address is none":       {node: annotated(addressed(ip), ip+", storage-a"), fences: fenceList{plain}},
		"of a node whose storage address is left empty": {node: annotated(addressed(ip), ""), fences: fenceList{plain}},
		"of a node whose InternalIP is free":            {node: annotated(addressed("10.9.0.5"), ip), fences: fenceList{plain}},

		"all of several addresses, by one": {
			node: annotated(addressed(ip, "fd00::5"), "10.9.0.5, 10.9.0.6"), fences: fenceList{newFence("fence", "10.0.0.0/8", "fd00::/64")}, want: true,
		},
		"all of several addresses, by several": {
			node: annotated(addressed(ip), "10.9.0.5"), fences: fenceList{plain, newFence("storage", "10.9.0.5/32")}, want: true,
		},
	})
}

// inCluster is a fence, or a class, of that storage cluster.
func inCluster(fence *unstructured.Unstructured, cluster string) *unstructured.Unstructured {
	return with(fence, cluster, "spec", "parameters", "clusterID")
}

// One driver serves several storage clusters: a node that is fenced from one of them writes on to the others.
func TestNetworkFenceProvesForTheStorageClusterOfTheVolume(t *testing.T) {
	plain := newFence("fence", ip+"/32")
	byClass := with(with(plain, "class", "spec", "networkFenceClassName"), "", "spec", "driver")
	class := newClass("class", driver)
	letsIn := with(newFence("other", "10.0.0.0/24"), "Unfenced", "spec", "fenceState")
	for name, tc := range map[string]struct {
		// volumes are the clusters that the volume's PersistentVolumes name.
		volumes []string
		fences  fenceList
		want    bool
	}{
		"the same":                            {volumes: []string{"one"}, fences: fenceList{inCluster(plain, "one")}, want: true},
		"another":                             {volumes: []string{"one"}, fences: fenceList{inCluster(plain, "two")}},
		"none, of a volume in one":            {volumes: []string{"one"}, fences: fenceList{plain}},
		"one, of a volume in none":            {volumes: []string{""}, fences: fenceList{inCluster(plain, "one")}},
		"one, of a volume that is not known":  {fences: fenceList{inCluster(plain, "one")}},
		"none, of a volume that is not known": {fences: fenceList{plain}},
		"the same, by its class":              {volumes: []string{"one"}, fences: fenceList{byClass, inCluster(class, "one")}, want: true},
		"another, by its class":               {volumes: []string{"one"}, fences: fenceList{byClass, inCluster(class, "two")}},
		"another, by its class, whatever is beside": {
			volumes: []string{"one"}, fences: fenceList{inCluster(byClass, "one"), inCluster(class, "two")},
		},
		"the same, beside a class without": {volumes: []string{"one"}, fences: fenceList{inCluster(byClass, "one"), class}, want: true},
		"of two PersistentVolumes":         {volumes: []string{"one", "one"}, fences: fenceList{inCluster(plain, "one")}, want: true},
		"of one of two PersistentVolumes":  {volumes: []string{"one", "two"}, fences: fenceList{inCluster(plain, "one")}},
		"of one of two, the other in none": {volumes: []string{"one", ""}, fences: fenceList{inCluster(plain, "one")}},
		"both of two, that do not agree": {
			volumes: []string{"one", "two"}, fences: fenceList{inCluster(plain, "one"), inCluster(newFence("other", ip+"/32"), "two")},
		},
		"the same, and another one lets in": {
			volumes: []string{"one"}, fences: fenceList{inCluster(plain, "one"), inCluster(letsIn, "two")}, want: true,
		},
		"the same, which another fence lets in":   {volumes: []string{"one"}, fences: fenceList{inCluster(plain, "one"), inCluster(letsIn, "one")}},
		"the same, and one unnamed lets in":       {volumes: []string{"one"}, fences: fenceList{inCluster(plain, "one"), letsIn}},
		"none, and one that is named lets in":     {volumes: []string{""}, fences: fenceList{plain, inCluster(letsIn, "two")}},
		"the same, and another one is fenced too": {volumes: []string{"one"}, fences: fenceList{inCluster(plain, "one"), inCluster(newFence("other", ip+"/32"), "two")}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSeen(t)
			s.nodeChanged(addressed(ip))
			for i, cluster := range tc.volumes {
				s.persistentVolumeChanged(clustered("pv-"+string(rune('a'+i)), cluster))
			}
			s.put(tc.fences...)
			if got := s.fenced(); got != tc.want {
				t.Errorf("Fenced is %t, want %t", got, tc.want)
			}
		})
	}
}

// clustered is a PersistentVolume of volumeA.
func clustered(name, cluster string) *corev1.PersistentVolume {
	pv := newCSIVolume(name, volumeA, nil)
	if cluster != "" {
		pv.Spec.CSI.VolumeAttributes = map[string]string{"clusterID": cluster, "pool": "fast"}
	}
	return pv
}

func TestStorageClusterOfAVolumeIsFollowed(t *testing.T) {
	s := newSeen(t)
	s.nodeChanged(addressed(ip))
	s.put(inCluster(newFence("fence", ip+"/32"), "one"))
	for i, step := range []struct {
		do   func()
		want bool
	}{
		{do: func() { s.persistentVolumeChanged(clustered("pv", "one")) }, want: true},
		{do: func() { s.persistentVolumeChanged(clustered("another", "two")) }},
		{do: func() { s.persistentVolumeDeleted(clustered("another", "two")) }, want: true},
		{do: func() { s.persistentVolumeChanged(clustered("pv", "two")) }}, // one that was made again under its name
		{do: func() { s.persistentVolumeChanged(clustered("pv", "one")) }, want: true},
		{do: func() { s.persistentVolumeDeleted(clustered("pv", "one")) }},
	} {
		step.do()
		if got := s.fenced(); got != step.want {
			t.Errorf("after step %d Fenced is %t, want %t", i, got, step.want)
		}
	}
	if left := len(s.fences.clusters); left != 0 {
		t.Errorf("the clusters of %d volumes are kept, want none", left)
	}
}

// What is not known yet may speak against a proof: another fence, or what a class is of.
func TestThereIsNoProofBeforeFencesAndClassesHaveSynced(t *testing.T) {
	for _, kind := range []string{"NetworkFence", "NetworkFenceClass"} {
		t.Run(kind, func(t *testing.T) {
			c := newWatchedCluster(t)
			volume, name := c.Volume(0), drivertest.Nodes()[0]
			c.Place(t, volume, name)
			c.Fence(t, volume, name, true)
			c.api.Fail(kind, apierrors.NewForbidden(schema.GroupResource{}, "", nil))
			d := c.Driver(t)
			source := d.Source.(*Source)
			if kind == "NetworkFence" {
				source.fences.putFence(klog.Background(), newFence("first-of-a-list", addressOf(name)+"/32"))
			}
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() {
				if err := source.Run(ctx); err != nil {
					t.Errorf("running the driver: %v", err)
				}
			})
			t.Cleanup(func() { cancel(); running.Wait() })
			waitUntil(t, "all but the kind is known", func() bool { _, ok := source.fences.prove(volume, name); return ok })
			if fence, ok := d.Fencer.Fenced(volume, name); ok {
				t.Errorf("Fenced is %+v, want no proof", fence)
			}
			c.api.Fail(kind, nil)
			waitUntil(t, "there is proof", func() bool { _, ok := d.Fencer.Fenced(volume, name); return ok })
		})
	}
}

func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true,
		func(context.Context) (bool, error) { return holds(), nil }); err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

func TestNetworkFenceThatIsEdited(t *testing.T) {
	first := newFence("fence", ip+"/32")
	let := with(with(first, "Unfenced", "spec", "fenceState"), int64(2), "metadata", "generation")
	again := with(with(let, "Fenced", "spec", "fenceState"), int64(3), "metadata", "generation")
	letIn := "unfencing operation successful"
	another := with(with(first, int64(3), "metadata", "generation"), "another", "metadata", "uid")
	for name, tc := range map[string]struct {
		seen []*unstructured.Unstructured
		want bool
	}{
		"to let in, with the result of the fencing": {seen: []*unstructured.Unstructured{first, let}},
		"and back before it was worked on":          {seen: []*unstructured.Unstructured{first, let, again}},
		"and back, then written again as it is":     {seen: []*unstructured.Unstructured{first, let, again, again}},
		"and back, with the result of the letting in": {
			seen: []*unstructured.Unstructured{first, let, with(let, letIn, "status", "message"), with(again, letIn, "status", "message")},
		},
		"and back, and worked on": {
			seen: []*unstructured.Unstructured{first, with(let, letIn, "status", "message"), with(again, letIn, "status", "message"), again}, want: true,
		},
		"and back, worked on, and written again": {
			seen: []*unstructured.Unstructured{with(again, letIn, "status", "message"), again, with(again, "x", "metadata", "labels", "label")}, want: true,
		},
		"and back, and failed, then worked on": {
			seen: []*unstructured.Unstructured{again, with(again, "Failed", "status", "result"), again}, want: true,
		},
		"to other addresses, with the result of the old ones": {
			seen: []*unstructured.Unstructured{newFence("fence", "10.0.0.6/32"), with(first, int64(2), "metadata", "generation")},
		},
		"and is another one of the same name and generation": {seen: []*unstructured.Unstructured{with(again, letIn, "status", "message"), another}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSeen(t)
			s.nodeChanged(addressed(ip))
			s.persistentVolumeChanged(newCSIVolume("pv", volumeA, nil))
			s.put(tc.seen...)
			if got := s.fenced(); got != tc.want {
				t.Errorf("Fenced is %t, want %t", got, tc.want)
			}
		})
	}
}

func TestProofEndsWithWhatItRestsOn(t *testing.T) {
	for name, end := range map[string]func(*seen){
		"the fence":            func(s *seen) { s.fences.removeFence("fence") },
		"its class":            func(s *seen) { s.fences.removeClass("class") },
		"the node":             func(s *seen) { s.nodeDeleted(addressed(ip)) },
		"the node's addresses": func(s *seen) { s.nodeChanged(addressed()) },
		"the volume":           func(s *seen) { s.persistentVolumeDeleted(newCSIVolume("pv", volumeA, nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSeen(t)
			s.nodeChanged(addressed(ip))
			s.persistentVolumeChanged(newCSIVolume("pv", volumeA, nil))
			s.put(with(newFence("fence", ip+"/32"), "class", "spec", "networkFenceClassName"), newClass("class", driver))
			want := drivers.Fence{Message: "fenced by NetworkFence fence"}
			if got, ok := s.fences.prove(volumeA, node); !ok || got != want {
				t.Errorf("proof is %t (-want +got):\n%s", ok, cmp.Diff(want, got))
			}
			end(s)
			if s.fenced() {
				t.Error("there is still proof, want none")
			}
		})
	}
}
