// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"roost.dev/roost/drivers"
)

const topolvm = "topology.topolvm.io/node"

var volumeA = drivers.VolumeID{Provisioner: "csi.roost.dev", Handle: "a"}

func newSource(t testing.TB) *Source {
	t.Helper()
	s, err := New(Options{Informers: informers.NewSharedInformerFactory(nil, 0)})
	if err != nil {
		t.Fatalf("making the driver: %v", err)
	}
	return s
}

// nodesOf are the nodes of the volume's replicas, nil where it is not located.
func nodesOf(t *testing.T, s *Source, id drivers.VolumeID) []string {
	t.Helper()
	location, ok := s.Locate(id)
	if ok == (len(location.Replicas) == 0) {
		t.Errorf("Locate(%+v) is %+v, %t: an answer has replicas, and no answer has none", id, location, ok)
	}
	var nodes []string
	for _, replica := range location.Replicas {
		if replica.State != drivers.InSync {
			t.Errorf("replica on %s is %s, want InSync", replica.Node, replica.State)
		}
		nodes = append(nodes, replica.Node)
	}
	return nodes
}

func TestNewRefusesMissingInformers(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("New without informers succeeds, want an error")
	}
}

type requirements = []corev1.NodeSelectorRequirement

const inOperator = corev1.NodeSelectorOpIn

var nodeB = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
	MatchFields: requirements{requirement(metav1.ObjectNameField, inOperator, "node-b")},
}}}}

var affinities = map[string]struct {
	affinity *corev1.VolumeNodeAffinity
	want     []string
}{
	"no affinity at all":               {affinity: nil},
	"an affinity without requirements": {affinity: &corev1.VolumeNodeAffinity{}},
	"an affinity without terms":        {affinity: affinity()},
	"a hostname":                       {affinity: in(corev1.LabelHostname, "node-a"), want: []string{"node-a"}},
	"several hostnames":                {affinity: in(corev1.LabelHostname, "node-c", "node-a"), want: []string{"node-a", "node-c"}},
	"a hostname twice":                 {affinity: in(corev1.LabelHostname, "node-a", "node-a"), want: []string{"node-a"}},
	"a hostname that no node has":      {affinity: in(corev1.LabelHostname, "node-x")},
	"one hostname of two is a node's":  {affinity: in(corev1.LabelHostname, "node-x", "node-a"), want: []string{"node-a"}},
	"a vendor's own node label":        {affinity: in(topolvm, "b"), want: []string{"node-b"}},
	"a node's name":                    {affinity: nodeB, want: []string{"node-b"}},
	"a zone of several nodes":          {affinity: in(corev1.LabelTopologyZone, "zone-2")},
	"a zone of one node":               {affinity: in(corev1.LabelTopologyZone, "zone-1")},
	"a label that all nodes share":     {affinity: in("openebs.io/csi-node", "mayastor")},
	"a label that no node has and one that all share": {
		affinity: affinity(requirements{requirement("role", inOperator, "unknown"), requirement("openebs.io/csi-node", inOperator, "mayastor")}),
	},
	"a hostname in its zone": {
		affinity: affinity(requirements{requirement(corev1.LabelTopologyZone, inOperator, "zone-1"), requirement(corev1.LabelHostname, inOperator, "node-a")}),
		want:     []string{"node-a"},
	},
	"a hostname in another zone": {
		affinity: affinity(requirements{requirement(corev1.LabelTopologyZone, inOperator, "zone-2"), requirement(corev1.LabelHostname, inOperator, "node-a")}),
	},
	"hostnames, of which one has a label": {
		affinity: affinity(requirements{requirement(corev1.LabelHostname, inOperator, "node-a", "node-b"), requirement("ssd", corev1.NodeSelectorOpExists)}),
		want:     []string{"node-a"},
	},
	"a label's existence, of one node": {affinity: affinity(requirements{requirement("ssd", corev1.NodeSelectorOpExists)})},
	"a hostname excluded":              {affinity: affinity(requirements{requirement(corev1.LabelHostname, corev1.NodeSelectorOpNotIn, "node-a")})},
	"In without values":                {affinity: in(corev1.LabelHostname)},
	"two terms that name nodes": {
		affinity: affinity(requirements{requirement(corev1.LabelHostname, inOperator, "node-a")}, requirements{requirement(topolvm, inOperator, "c")}),
		want:     []string{"node-a", "node-c"},
	},
	"a term that names a node and one that names a zone": {
		affinity: affinity(requirements{requirement(corev1.LabelHostname, inOperator, "node-a")}, requirements{requirement(corev1.LabelTopologyZone, inOperator, "zone-2")}),
	},
	"a term that names a node and an empty one, which matches nothing": {
		affinity: affinity(requirements{requirement(corev1.LabelHostname, inOperator, "node-a")}, nil),
		want:     []string{"node-a"},
	},
}

func TestLocateByNodeAffinity(t *testing.T) {
	nodes := []*corev1.Node{
		newNode("node-a", topolvm, "a", corev1.LabelTopologyZone, "zone-1", "openebs.io/csi-node", "mayastor", "ssd", "yes"),
		newNode("node-b", topolvm, "b", corev1.LabelTopologyZone, "zone-2", "openebs.io/csi-node", "mayastor"),
		newNode("node-c", topolvm, "c", corev1.LabelTopologyZone, "zone-2", "openebs.io/csi-node", "mayastor"),
	}
	for name, tc := range affinities {
		t.Run(name, func(t *testing.T) {
			nodesFirst, volumeFirst := newSource(t), newSource(t)
			volumeFirst.persistentVolumeChanged(newCSIVolume("pv", volumeA, tc.affinity))
			for _, node := range nodes {
				nodesFirst.nodeChanged(node)
				volumeFirst.nodeChanged(node)
			}
			nodesFirst.persistentVolumeChanged(newCSIVolume("pv", volumeA, tc.affinity))
			if diff := cmp.Diff(tc.want, nodesOf(t, nodesFirst, volumeA)); diff != "" {
				t.Errorf("nodes, known before the volume (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.want, nodesOf(t, volumeFirst, volumeA)); diff != "" {
				t.Errorf("nodes, known after the volume (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLocateVolumesWithoutCSI(t *testing.T) {
	s := newSource(t)
	s.nodeChanged(newNode("node-a"))
	newVolume := func(name string, source corev1.PersistentVolumeSource) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       corev1.PersistentVolumeSpec{PersistentVolumeSource: source, NodeAffinity: in(corev1.LabelHostname, "node-a")},
		}
	}
	s.persistentVolumeChanged(newVolume("on-disk", corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/disk"}}))
	s.persistentVolumeChanged(newVolume("on-host", corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data"}}))
	s.persistentVolumeChanged(newVolume("on-nfs", corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "nfs"}}))
	for id, want := range map[drivers.VolumeID][]string{
		{Provisioner: drivers.LocalVolume, Handle: "on-disk"}: {"node-a"},
		{Provisioner: drivers.HostPath, Handle: "on-host"}:    {"node-a"},
		{Handle: "on-nfs"}: nil,
	} {
		if diff := cmp.Diff(want, nodesOf(t, s, id)); diff != "" {
			t.Errorf("nodes of %+v (-want +got):\n%s", id, diff)
		}
	}
}

// TestLocateFollowsChanges plays one story: each step changes something, and tells of exactly the volumes it names.
func TestLocateFollowsChanges(t *testing.T) {
	s := newSource(t)
	var told []drivers.VolumeID
	s.Subscribe(func(change drivers.Change) { told = append(told, change.Volume) })
	s.persistentVolumeChanged(newCSIVolume("pv", volumeA, affinity([]corev1.NodeSelectorRequirement{
		requirement(topolvm, corev1.NodeSelectorOpIn, "a", "b"),
		requirement("retired", corev1.NodeSelectorOpDoesNotExist),
	})))
	changed, same := []drivers.VolumeID{volumeA}, []drivers.VolumeID(nil)
	for _, step := range []struct {
		what     string
		do       func()
		want     []string
		wantTold []drivers.VolumeID
	}{
		{"a node that the volume does not name comes", func() { s.nodeChanged(newNode("node-c", topolvm, "c")) }, nil, same},
		{"its node comes", func() { s.nodeChanged(newNode("node-a", topolvm, "a")) }, []string{"node-a"}, changed},
		{"the node says the same again", func() { s.nodeChanged(newNode("node-a", topolvm, "a")) }, []string{"node-a"}, same},
		{"the node gets a label that nobody asks for", func() { s.nodeChanged(newNode("node-a", topolvm, "a", "x", "y")) }, []string{"node-a"}, same},
		{"its other node comes", func() { s.nodeChanged(newNode("node-b", topolvm, "b")) }, []string{"node-a", "node-b"}, changed},
		{"a node fails another requirement", func() { s.nodeChanged(newNode("node-b", topolvm, "b", "retired", "")) }, []string{"node-a"}, changed},
		{"the node meets it again", func() { s.nodeChanged(newNode("node-b", topolvm, "b")) }, []string{"node-a", "node-b"}, changed},
		{"another node takes the same label", func() { s.nodeChanged(newNode("node-c", topolvm, "a")) }, nil, changed},
		{"a third one does", func() { s.nodeChanged(newNode("node-d", topolvm, "a")) }, nil, same},
		{"the third one goes", func() { s.nodeDeleted(newNode("node-d", topolvm, "a")) }, nil, same},
		{"the other node gives it back", func() { s.nodeChanged(newNode("node-c", topolvm, "c")) }, []string{"node-a", "node-b"}, changed},
		{"a node loses the label", func() { s.nodeChanged(newNode("node-a")) }, []string{"node-b"}, changed},
		{"the last node goes", func() { s.nodeDeleted(newNode("node-b", topolvm, "b")) }, nil, changed},
		{"the volume's affinity changes", func() { s.persistentVolumeChanged(newCSIVolume("pv", volumeA, in(topolvm, "c"))) }, []string{"node-c"}, changed},
		{"the volume goes", func() { s.persistentVolumeDeleted(newCSIVolume("pv", volumeA, nil)) }, nil, changed},
		{"the volume goes again", func() { s.persistentVolumeDeleted(newCSIVolume("pv", volumeA, nil)) }, nil, same},
	} {
		told = nil
		step.do()
		if diff := cmp.Diff(step.want, nodesOf(t, s, volumeA)); diff != "" {
			t.Errorf("%s: nodes (-want +got):\n%s", step.what, diff)
		}
		if diff := cmp.Diff(step.wantTold, told); diff != "" {
			t.Errorf("%s: changes (-want +got):\n%s", step.what, diff)
		}
	}
	if len(s.index.nodes.keys) != 0 {
		t.Errorf("%d label keys are indexed, want 0: there is no volume", len(s.index.nodes.keys))
	}
}

func TestLocateWithSeveralPersistentVolumes(t *testing.T) {
	s := newSource(t)
	s.nodeChanged(newNode("node-a"))
	s.nodeChanged(newNode("node-b"))
	first, second := in(corev1.LabelHostname, "node-b"), in(corev1.LabelHostname, "node-a", "node-b")
	s.persistentVolumeChanged(newCSIVolume("first", volumeA, first))
	s.persistentVolumeChanged(newCSIVolume("second", volumeA, second))
	s.persistentVolumeChanged(newCSIVolume("third", volumeA, nil))
	s.attachmentChanged(newAttachment("of-second", "second", "node-a", true))
	location, _ := s.Locate(volumeA)
	want := drivers.Location{Replicas: []drivers.Replica{{Node: "node-a"}, {Node: "node-b"}}, AttachedTo: []string{"node-a"}, Pinned: true}
	if diff := cmp.Diff(want, location); diff != "" {
		t.Errorf("location of a volume with three PersistentVolumes (-want +got):\n%s", diff)
	}
	s.persistentVolumeDeleted(newCSIVolume("second", volumeA, second))
	location, _ = s.Locate(volumeA)
	want = drivers.Location{Replicas: []drivers.Replica{{Node: "node-b"}}, Pinned: true}
	if diff := cmp.Diff(want, location); diff != "" {
		t.Errorf("location after one of them went (-want +got):\n%s", diff)
	}
}

func TestLocateFollowsAPersistentVolumeThatWasMadeAgain(t *testing.T) {
	s := newSource(t)
	s.nodeChanged(newNode("node-a"))
	other := drivers.VolumeID{Provisioner: volumeA.Provisioner, Handle: "other"}
	s.persistentVolumeChanged(newCSIVolume("pv", volumeA, in(corev1.LabelHostname, "node-a")))
	s.persistentVolumeChanged(newCSIVolume("pv", other, in(corev1.LabelHostname, "node-a")))
	if nodes := nodesOf(t, s, volumeA); nodes != nil {
		t.Errorf("the volume of the first object is on %v, want nowhere", nodes)
	}
	if diff := cmp.Diff([]string{"node-a"}, nodesOf(t, s, other)); diff != "" {
		t.Errorf("nodes of the volume of the second object (-want +got):\n%s", diff)
	}
}

func newAttachment(name, pv, node string, attached bool) *storagev1.VolumeAttachment {
	return &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       storagev1.VolumeAttachmentSpec{NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &pv}},
		Status:     storagev1.VolumeAttachmentStatus{Attached: attached},
	}
}

func TestAttachedToFollowsVolumeAttachments(t *testing.T) {
	s := newSource(t)
	told := 0
	s.Subscribe(func(drivers.Change) { told++ })
	s.nodeChanged(newNode("node-a"))
	s.attachmentChanged(newAttachment("one", "pv", "node-a", true))
	if _, ok := s.Locate(volumeA); ok || told != 0 {
		t.Errorf("an attachment of an unknown PersistentVolume locates a volume (%t) or tells a change (%d)", ok, told)
	}
	s.persistentVolumeChanged(newCSIVolume("pv", volumeA, nil))
	if _, ok := s.Locate(volumeA); ok || told != 0 {
		t.Errorf("an attachment locates a volume that no affinity locates (%t) or tells a change (%d)", ok, told)
	}
	s.persistentVolumeChanged(newCSIVolume("pv", volumeA, in(corev1.LabelHostname, "node-a")))
	inline := newAttachment("inline", "pv", "node-x", true)
	inline.Spec.Source.PersistentVolumeName = nil
	for _, step := range []struct {
		what string
		do   func()
		want []string
	}{
		{"attached before the volume was known", func() {}, []string{"node-a"}},
		{"another one is being attached", func() { s.attachmentChanged(newAttachment("two", "pv", "node-b", false)) }, []string{"node-a"}},
		{"the other one is attached", func() { s.attachmentChanged(newAttachment("two", "pv", "node-b", true)) }, []string{"node-a", "node-b"}},
		{"an attachment without a PersistentVolume", func() { s.attachmentChanged(inline) }, []string{"node-a", "node-b"}},
		{"the first one is detached", func() { s.attachmentChanged(newAttachment("one", "pv", "node-a", false)) }, []string{"node-b"}},
		{"the other one is removed", func() { s.attachmentDeleted(newAttachment("two", "pv", "node-b", true)) }, nil},
	} {
		step.do()
		location, _ := s.Locate(volumeA)
		if diff := cmp.Diff(step.want, location.AttachedTo); diff != "" {
			t.Errorf("%s: attached to (-want +got):\n%s", step.what, diff)
		}
	}
	if told != 4 {
		t.Errorf("%d changes are told, want 4: located, attached to another node, detached from the first, and from the other", told)
	}
}

func TestHandlerLooksThroughResyncsAndTombstones(t *testing.T) {
	var changed, deleted []string
	h := handler(
		func(node *corev1.Node) { changed = append(changed, node.Name) },
		func(node *corev1.Node) { deleted = append(deleted, node.Name) },
	)
	at := func(version string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-" + version, ResourceVersion: version}}
	}
	h.OnAdd(at("1"), true)
	h.OnUpdate(at("1"), at("1"))
	h.OnUpdate(at("1"), at("2"))
	h.OnDelete(at("2"))
	h.OnDelete(cache.DeletedFinalStateUnknown{Key: "node-3", Obj: at("3")})
	if diff := cmp.Diff([]string{"node-1", "node-2"}, changed); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"node-2", "node-3"}, deleted); diff != "" {
		t.Errorf("deleted (-want +got):\n%s", diff)
	}
}

func TestRunFailsWhereAnInformerWasStopped(t *testing.T) {
	c := newCluster(t)
	stop := make(chan struct{})
	d := c.Driver(t)
	stopped := cache.NewSharedIndexInformer(c.nodes, &corev1.Node{}, 0, cache.Indexers{})
	close(stop)
	stopped.Run(stop)
	d.Source.(*Source).nodes = stopped
	if err := d.Source.Run(t.Context()); err == nil {
		t.Error("Run over a stopped informer ends without an error")
	}
	if d.Source.HasSynced() {
		t.Error("HasSynced is true after Run failed, want false")
	}
}

// TestManyNodesOfOneLabelDoNotLookAtItsVolumesEachTime guards the rule that only the first two nodes of a value have its volumes looked at.
func TestManyNodesOfOneLabelDoNotLookAtItsVolumesEachTime(t *testing.T) {
	x := newNodeIndex()
	for i := range 10 {
		x.follow(&volume{id: drivers.VolumeID{Handle: fmt.Sprint(i)}}, []pin{{key: "pool", value: "one"}})
	}
	var looked []int
	for i := range 5 {
		name := fmt.Sprintf("node-%d", i)
		looked = append(looked, len(x.set(name, newNode(name, "pool", "one"))))
	}
	for i := range 5 {
		looked = append(looked, len(x.set(fmt.Sprintf("node-%d", i), nil)))
	}
	if diff := cmp.Diff([]int{10, 10, 0, 0, 0, 0, 0, 0, 10, 10}, looked); diff != "" {
		t.Errorf("volumes looked at as five nodes of one label come and go (-want +got):\n%s", diff)
	}
}

// newFullSource has 100,000 local volumes on 5,000 nodes.
func newFullSource(b *testing.B) (*Source, []drivers.VolumeID) {
	s := newSource(b)
	for i := range 5000 {
		name := fmt.Sprintf("node-%04d", i)
		s.nodeChanged(newNode(name, topolvm, name))
	}
	ids := make([]drivers.VolumeID, 100_000)
	for i := range ids {
		ids[i] = drivers.VolumeID{Provisioner: "topolvm.io", Handle: fmt.Sprintf("9f1c9f1e-7a58-4f7c-8f0d-%012d", i)}
		s.persistentVolumeChanged(newCSIVolume(fmt.Sprintf("pvc-%d", i), ids[i], in(topolvm, fmt.Sprintf("node-%04d", i%5000))))
	}
	return s, ids
}

func BenchmarkLocate(b *testing.B) {
	s, ids := newFullSource(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, ok := s.Locate(ids[i*7919%len(ids)]); !ok {
			b.Fatal("a volume is not located")
		}
		i++
	}
}

func BenchmarkNodeHeartbeat(b *testing.B) {
	s, _ := newFullSource(b)
	node := newNode("node-0042", topolvm, "node-0042")
	b.ReportAllocs()
	for b.Loop() {
		s.nodeChanged(node)
	}
}

func BenchmarkNodeRelabelled(b *testing.B) {
	s, _ := newFullSource(b)
	one, other := newNode("node-0042", topolvm, "node-0042"), newNode("node-0042", topolvm, "elsewhere")
	b.ReportAllocs()
	for b.Loop() {
		s.nodeChanged(other)
		s.nodeChanged(one)
	}
}
