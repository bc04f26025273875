// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	cachetesting "k8s.io/client-go/tools/cache/testing"

	"roost.dev/roost/drivers"
	"roost.dev/roost/drivers/drivertest"
)

func TestConformance(t *testing.T) {
	drivertest.Conformance(t, func(t *testing.T) drivertest.Fixture { return newCluster(t) })
}

func TestConformanceWithHealth(t *testing.T) {
	drivertest.Conformance(t, func(t *testing.T) drivertest.Fixture { return newWatchedCluster(t) })
}

// cluster is the API server's side of the informers. A plain fake clientset loses what happens between list and watch.
type cluster struct {
	nodes, persistentVolumes, attachments objects
	informers                             informers.SharedInformerFactory
	placed                                map[drivers.VolumeID]*corev1.PersistentVolume
}

// objects are the objects of one kind.
type objects struct {
	*cachetesting.FakeControllerSource
}

// IsWatchListSemanticsUnSupported tells the reflector that this fake has no streamed lists.
func (objects) IsWatchListSemanticsUnSupported() bool { return true }

func newCluster(t *testing.T) *cluster {
	c := &cluster{
		nodes:             objects{cachetesting.NewFakeControllerSource()},
		persistentVolumes: objects{cachetesting.NewFakeControllerSource()},
		attachments:       objects{cachetesting.NewFakeControllerSource()},
		informers:         informers.NewSharedInformerFactory(nil, 0),
		placed:            map[drivers.VolumeID]*corev1.PersistentVolume{},
	}
	c.inform(&corev1.Node{}, c.nodes)
	c.inform(&corev1.PersistentVolume{}, c.persistentVolumes)
	c.inform(&storagev1.VolumeAttachment{}, c.attachments)
	for _, name := range drivertest.Nodes() {
		c.nodes.Add(newNode(name))
	}
	t.Cleanup(c.informers.Shutdown)
	return c
}

func (c *cluster) inform(kind runtime.Object, from objects) {
	c.informers.InformerFor(kind, func(kubernetes.Interface, time.Duration) cache.SharedIndexInformer {
		return cache.NewSharedIndexInformer(from, kind, 0, cache.Indexers{})
	})
}

func (c *cluster) Driver(t *testing.T) drivers.Driver {
	source, err := New(Options{Informers: c.informers})
	if err != nil {
		t.Fatalf("making the driver: %v", err)
	}
	c.informers.Start(t.Context().Done())
	return source.Driver()
}

func (c *cluster) Volume(n int) drivers.VolumeID {
	return drivers.VolumeID{Provisioner: "csi.roost.dev", Handle: "volume-" + string(rune('a'+n))}
}

func (c *cluster) Place(_ *testing.T, id drivers.VolumeID, nodes ...string) {
	pv := newCSIVolume("pv-of-"+id.Handle, id, in(corev1.LabelHostname, nodes...))
	_, exists := c.placed[id]
	c.placed[id] = pv
	if exists {
		c.persistentVolumes.Modify(pv)
		return
	}
	c.persistentVolumes.Add(pv)
}

func (c *cluster) Remove(_ *testing.T, id drivers.VolumeID) {
	c.persistentVolumes.Delete(c.placed[id].DeepCopy())
	delete(c.placed, id)
}

func (c *cluster) Report(t *testing.T, _ string, _ drivers.StorageState) {
	t.Fatal("Kubernetes' objects say nothing of storage")
}

func (c *cluster) Fence(t *testing.T, _ drivers.VolumeID, _ string, _ bool) {
	t.Fatal("without health there is no proof")
}

// newNode carries its name as hostname label, and the labels given as key, value, key, value.
func newNode(name string, labels ...string) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}}}
	for i := 0; i < len(labels); i += 2 {
		node.Labels[labels[i]] = labels[i+1]
	}
	return node
}

// affinity has a term for each of the slices.
func affinity(terms ...[]corev1.NodeSelectorRequirement) *corev1.VolumeNodeAffinity {
	required := &corev1.NodeSelector{}
	for _, requirements := range terms {
		required.NodeSelectorTerms = append(required.NodeSelectorTerms, corev1.NodeSelectorTerm{MatchExpressions: requirements})
	}
	return &corev1.VolumeNodeAffinity{Required: required}
}

func in(key string, values ...string) *corev1.VolumeNodeAffinity {
	return affinity([]corev1.NodeSelectorRequirement{requirement(key, corev1.NodeSelectorOpIn, values...)})
}

func requirement(key string, operator corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorRequirement {
	return corev1.NodeSelectorRequirement{Key: key, Operator: operator, Values: values}
}

func newCSIVolume(name string, id drivers.VolumeID, affinity *corev1.VolumeNodeAffinity) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: id.Provisioner, VolumeHandle: id.Handle},
			},
			NodeAffinity: affinity,
		},
	}
}
