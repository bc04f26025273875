// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	st "k8s.io/kubernetes/pkg/scheduler/testing"
	"k8s.io/utils/ptr"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
)

// changed is an object as it is after a change.
func changed[T runtime.Object](object T, change func(T)) T {
	after := object.DeepCopyObject().(T)
	change(after)
	return after
}

func annotate[T metav1.Object](key, value string) func(T) {
	return func(object T) { object.SetAnnotations(map[string]string{key: value}) }
}

func newCSINode(names ...string) *storagev1.CSINode {
	object := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "a1"}}
	for _, name := range names {
		object.Spec.Drivers = append(object.Spec.Drivers, storagev1.CSINodeDriver{Name: name, NodeID: "a1"})
	}
	return object
}

// pool is a capacity object; an empty size is not said.
func pool(class, capacity, largest string) *storagev1.CSIStorageCapacity {
	said := func(size string) *resource.Quantity {
		if size == "" {
			return nil
		}
		return ptr.To(resource.MustParse(size))
	}
	return &storagev1.CSIStorageCapacity{
		ObjectMeta: metav1.ObjectMeta{Name: "pool"}, StorageClassName: class, Capacity: said(capacity), MaximumVolumeSize: said(largest),
	}
}

// The pod of the hints has a bound claim whose data is on a1, and one that waits for a node.
var (
	hinted     = podUsing("data", "fresh")
	dataClaim  = builders.MakeClaim("data").Class("fast").BoundTo("pv-data").Obj()
	freshClaim = builders.MakeClaim("fresh").Class("pool").Obj()
	fastClass  = builders.MakeClass("fast", storagev1.VolumeBindingImmediate)
	poolClass  = builders.MakeClass("pool", storagev1.VolumeBindingWaitForFirstConsumer)
	poolDriver = &storagev1.CSIDriver{
		ObjectMeta: metav1.ObjectMeta{Name: poolClass.Provisioner}, Spec: storagev1.CSIDriverSpec{StorageCapacity: ptr.To(true)},
	}
	otherClaim = builders.MakeClaim("other").Class("fast").Obj()
	otherClass = builders.MakeClass("other", storagev1.VolumeBindingWaitForFirstConsumer)
	otherPV    = builders.MakePV("pv-other").CSI(provisioner, "handle-of-other").ClaimedBy("other").Obj()
	nodeA1     = st.MakeNode().Name("a1").Obj()
)

var hintTests = map[string]struct {
	resource      fwk.EventResource
	before, after any
	want          fwk.QueueingHint
}{
	"a node comes that has the data":      {fwk.Node, nil, nodeA1, fwk.Queue},
	"a node comes that has a rebuilding":  {fwk.Node, nil, st.MakeNode().Name("a2").Obj(), fwk.QueueSkip},
	"a node comes that has none":          {fwk.Node, nil, st.MakeNode().Name("b1").Obj(), fwk.QueueSkip},
	"a taint of the data node goes":       {fwk.Node, changed(nodeA1, func(n *corev1.Node) { n.Spec.Unschedulable = true }), nodeA1, fwk.QueueSkip},
	"the pod asks for another policy":     {fwk.Pod, hinted, changed(hinted, annotate[*corev1.Pod]("roost.dev/locality", "Required")), fwk.Queue},
	"the pod asks for a policy no more":   {fwk.Pod, changed(hinted, annotate[*corev1.Pod]("roost.dev/locality", "Required")), hinted, fwk.Queue},
	"the pod asks for an empty policy":    {fwk.Pod, hinted, changed(hinted, annotate[*corev1.Pod]("roost.dev/locality", "")), fwk.Queue},
	"another pod ends":                    {fwk.Pod, unscheduled("other", ""), nil, fwk.QueueSkip},
	"the pod was not seen before":         {fwk.Pod, nil, hinted, fwk.Queue},
	"the pod asks for another wait":       {fwk.Pod, hinted, changed(hinted, annotate[*corev1.Pod]("roost.dev/locality-wait", "30s")), fwk.Queue},
	"the pod's status changes":            {fwk.Pod, hinted, changed(hinted, func(p *corev1.Pod) { p.Status.Message = "x" }), fwk.QueueSkip},
	"the pod has another annotation":      {fwk.Pod, hinted, changed(hinted, annotate[*corev1.Pod]("team", "db")), fwk.QueueSkip},
	"another pod asks for another policy": {fwk.Pod, unscheduled("other", ""), changed(unscheduled("other", ""), annotate[*corev1.Pod]("roost.dev/locality", "Avoid")), fwk.QueueSkip},
	"its claim is made":                   {fwk.PersistentVolumeClaim, nil, dataClaim, fwk.Queue},
	"another claim is made":               {fwk.PersistentVolumeClaim, nil, otherClaim, fwk.QueueSkip},
	"a claim of its name, elsewhere":      {fwk.PersistentVolumeClaim, nil, changed(dataClaim, func(c *corev1.PersistentVolumeClaim) { c.Namespace = "elsewhere" }), fwk.QueueSkip},
	"its claim is bound":                  {fwk.PersistentVolumeClaim, freshClaim, changed(freshClaim, func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "pv-fresh" }), fwk.Queue},
	"its claim is given a class":          {fwk.PersistentVolumeClaim, builders.MakeClaim("fresh").Obj(), freshClaim, fwk.Queue},
	"its claim asks for another policy":   {fwk.PersistentVolumeClaim, dataClaim, changed(dataClaim, annotate[*corev1.PersistentVolumeClaim]("roost.dev/locality", "Avoid")), fwk.Queue},
	"its claim has a condition": {fwk.PersistentVolumeClaim, dataClaim, changed(dataClaim, func(c *corev1.PersistentVolumeClaim) {
		c.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{}}
	}), fwk.QueueSkip},
	"another claim is bound":           {fwk.PersistentVolumeClaim, otherClaim, changed(otherClaim, func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "pv-other" }), fwk.QueueSkip},
	"its volume appears":               {fwk.PersistentVolume, nil, dataPV, fwk.Queue},
	"its volume is given to its claim": {fwk.PersistentVolume, builders.MakePV("pv-data").Obj(), dataPV, fwk.Queue},
	"its volume is usable on other nodes": {fwk.PersistentVolume, dataPV, changed(dataPV, func(v *corev1.PersistentVolume) {
		v.Spec.NodeAffinity = builders.MakePV("").OnNodes("a1").Spec.NodeAffinity
	}), fwk.Queue},
	"its volume has a label":               {fwk.PersistentVolume, dataPV, changed(dataPV, func(v *corev1.PersistentVolume) { v.Labels = map[string]string{"team": "db"} }), fwk.QueueSkip},
	"another volume appears":               {fwk.PersistentVolume, nil, otherPV, fwk.QueueSkip},
	"a volume appears that is nobody's":    {fwk.PersistentVolume, nil, builders.MakePV("free").Obj(), fwk.QueueSkip},
	"the class of its claim appears":       {fwk.StorageClass, nil, fastClass, fwk.Queue},
	"the class asks for another policy":    {fwk.StorageClass, fastClass, changed(fastClass, annotate[*storagev1.StorageClass]("roost.dev/locality", "Avoid")), fwk.Queue},
	"the class has another annotation":     {fwk.StorageClass, fastClass, changed(fastClass, annotate[*storagev1.StorageClass]("team", "db")), fwk.QueueSkip},
	"another class appears":                {fwk.StorageClass, nil, otherClass, fwk.QueueSkip},
	"another class asks for another":       {fwk.StorageClass, otherClass, changed(otherClass, annotate[*storagev1.StorageClass]("roost.dev/locality", "Avoid")), fwk.QueueSkip},
	"the driver registers on a new node":   {fwk.CSINode, nil, newCSINode(provisioner), fwk.Queue},
	"the driver registers on a node":       {fwk.CSINode, newCSINode("other.example.com"), newCSINode("other.example.com", provisioner), fwk.Queue},
	"another driver registers":             {fwk.CSINode, newCSINode(provisioner), newCSINode(provisioner, "other.example.com"), fwk.QueueSkip},
	"something else of a CSINode changes":  {fwk.CSINode, newCSINode(provisioner), newCSINode(provisioner), fwk.QueueSkip},
	"a pool of its class appears":          {fwk.CSIStorageCapacity, nil, pool("pool", "1Gi", ""), fwk.Queue},
	"the pool has more room":               {fwk.CSIStorageCapacity, pool("pool", "1Gi", ""), pool("pool", "2Gi", ""), fwk.Queue},
	"the pool takes larger volumes":        {fwk.CSIStorageCapacity, pool("pool", "4Gi", "1Gi"), pool("pool", "4Gi", "2Gi"), fwk.Queue},
	"the pool says how much room it has":   {fwk.CSIStorageCapacity, pool("pool", "", ""), pool("pool", "1Gi", ""), fwk.Queue},
	"the pool has less room":               {fwk.CSIStorageCapacity, pool("pool", "2Gi", "1Gi"), pool("pool", "1Gi", "1Gi"), fwk.QueueSkip},
	"the pool says nothing any more":       {fwk.CSIStorageCapacity, pool("pool", "2Gi", ""), pool("pool", "", ""), fwk.QueueSkip},
	"a pool of another class has more":     {fwk.CSIStorageCapacity, pool("other", "1Gi", ""), pool("other", "2Gi", ""), fwk.QueueSkip},
	"a pool of its bound claim's class":    {fwk.CSIStorageCapacity, nil, pool("fast", "1Gi", ""), fwk.QueueSkip},
	"an event of a Node that is none":      {fwk.Node, nil, dataPV, fwk.Queue},
	"an event of a Pod that is none":       {fwk.Pod, nil, nodeA1, fwk.Queue},
	"an event of a claim that is none":     {fwk.PersistentVolumeClaim, nil, nodeA1, fwk.Queue},
	"an event of a volume that is none":    {fwk.PersistentVolume, nil, nodeA1, fwk.Queue},
	"an event of a class that is none":     {fwk.StorageClass, nil, nodeA1, fwk.Queue},
	"an event of a CSINode that is none":   {fwk.CSINode, nil, nodeA1, fwk.Queue},
	"an event of a pool that is none":      {fwk.CSIStorageCapacity, nil, nodeA1, fwk.Queue},
	"an event of a class that is a string": {fwk.StorageClass, nil, "a1", fwk.Queue},
}

func TestQueueingHints(t *testing.T) {
	location := inSync("a1")
	location.Replicas = append(location.Replicas, drivers.Replica{Node: "a2", State: drivers.Rebuilding})
	f := newFixture(t, world{
		nodes:   sixNodes(),
		objects: []runtime.Object{dataClaim, dataPV, freshClaim, fastClass, poolClass, poolDriver, otherClaim, otherClass, otherPV},
		driver:  &memory{locations: map[string]drivers.Location{"handle-of-data": location, "handle-of-other": inSync("b1")}},
	})
	events, err := f.pl.EventsToRegister(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range hintTests {
		t.Run(name, func(t *testing.T) {
			at := slices.IndexFunc(events, func(e fwk.ClusterEventWithHint) bool { return e.Event.Resource == tc.resource })
			if at < 0 {
				t.Fatalf("no event of %s is registered", tc.resource)
			}
			got, err := events[at].QueueingHintFn(klog.FromContext(t.Context()), hinted, tc.before, tc.after)
			if _, isNode := tc.after.(*corev1.Node); err != nil && isNode && tc.resource == fwk.Node {
				t.Errorf("error: %v", err)
			}
			if got != tc.want {
				t.Errorf("hint = %v, want %v", got, tc.want)
			}
		})
	}
}

// What is registered is more than the hints need. A plugin that names only that nodes are added is given a hint for their taints
// that has it try every pod again; one that does not name that pods end keeps pods out of the queue whose victims are gone.
func TestEventsThatHaveToBeNamed(t *testing.T) {
	events, err := (&VolumeLocality{}).EventsToRegister(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	missing := map[fwk.ClusterEvent]bool{
		{Resource: fwk.Node, ActionType: fwk.UpdateNodeTaint}: true,
		{Resource: fwk.Pod, ActionType: fwk.Delete}:           true,
	}
	for _, e := range events {
		if e.QueueingHintFn == nil {
			t.Errorf("%s has no hint", e.Event.Label())
		}
		maps.DeleteFunc(missing, func(event fwk.ClusterEvent, _ bool) bool { return framework.MatchClusterEvents(e.Event, event) })
	}
	if len(missing) > 0 {
		t.Errorf("not registered: %v", missing)
	}
}
