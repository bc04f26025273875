// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	schedulingv1alpha1 "sigs.k8s.io/scheduler-plugins/apis/scheduling/v1alpha1"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
)

const (
	csi   = "csi.example.com"
	other = "csi.other.example.com"
)

var (
	now         = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	failedSince = now.Add(-time.Minute)
)

// world is a cluster of three nodes, of which node-1 has failed, with the pod db-0 there. The volume of its claim data has
// copies on node-1 and node-2. A test changes what it is about.
type world struct {
	db                       *corev1.Pod
	pods                     []*corev1.Pod
	node1, node2, node3      *corev1.Node
	csiNode2, csiNode3       *storagev1.CSINode
	data                     *corev1.PersistentVolumeClaim
	dataPV                   *corev1.PersistentVolume
	fast                     *storagev1.StorageClass
	objects                  []runtime.Object
	locations                map[string]drivers.Answer // by handle
	reports                  map[string]drivers.StorageState
	unusable                 map[string]bool
	locatesAll               string // the node on which a driver reports that knows every volume
	located, reported, asked int
	groups                   podGroups
	options                  Options
}

func newWorld() *world {
	return &world{
		db:    makePod("db-0", "node-1", "data"),
		node1: makeNode("node-1"), node2: makeNode("node-2"), node3: makeNode("node-3"),
		csiNode2: makeCSINode("node-2"), csiNode3: makeCSINode("node-3"),
		data:      builders.MakeClaim("data").Class("fast").BoundTo("pv-data").Obj(),
		dataPV:    builders.MakePV("pv-data").CSI(csi, "data").ClaimedBy("data").Obj(),
		fast:      builders.MakeClass("fast", storagev1.VolumeBindingWaitForFirstConsumer),
		locations: map[string]drivers.Answer{"data": on("node-1", "node-2")},
		reports:   map[string]drivers.StorageState{},
		unusable:  map[string]bool{},
		options: Options{
			Default:      managerv1alpha1.Enabled,
			GangPolicy:   managerv1alpha1.Wait,
			ArrivalGrace: 5 * time.Minute,
		},
	}
}

// Locate implements Storage.
func (w *world) Locate(id drivers.VolumeID) drivers.Answer {
	w.located++
	return w.locations[id.Handle]
}

// NodeReport implements Storage.
func (w *world) NodeReport(_, node string) drivers.NodeReport {
	w.reported++
	return drivers.NodeReport{State: w.reports[node], LocatesAll: w.locatesAll == node}
}

// add gives the pod one more claim, bound to the PersistentVolume.
func (w *world) add(name string, pv *builders.PV) *corev1.PersistentVolumeClaim {
	claim := builders.MakeClaim(name).BoundTo(pv.Name).Obj()
	w.db.Spec.Volumes = append(w.db.Spec.Volumes, claimVolume(name))
	w.objects = append(w.objects, claim, pv.ClaimedBy(name).Obj())
	return claim
}

// finder fills the informers' stores by hand: nothing runs, so that a test sees what it set and nothing later.
func (w *world) finder(t testing.TB) *Finder {
	t.Helper()
	factory := informers.NewSharedInformerFactory(nil, 0)
	options := w.options
	options.Informers, options.Storage, options.PodGroups = factory, w, &w.groups
	options.Clock = clocktesting.NewFakePassiveClock(now)
	options.Usable = func(_, node string) bool { w.asked++; return !w.unusable[node] }
	finder, err := New(options)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	objects := append([]runtime.Object{w.db, w.node1, w.node2, w.node3, w.csiNode2, w.csiNode3, w.data, w.dataPV, w.fast}, w.objects...)
	for _, pod := range w.pods {
		objects = append(objects, pod)
	}
	for _, object := range objects {
		if err := informerOf(factory, object).GetIndexer().Add(object); err != nil {
			t.Fatalf("adding an object: %v", err)
		}
	}
	return finder
}

func informerOf(factory informers.SharedInformerFactory, object runtime.Object) cache.SharedIndexInformer {
	switch object.(type) {
	case *corev1.Pod:
		return factory.Core().V1().Pods().Informer()
	case *corev1.Node:
		return factory.Core().V1().Nodes().Informer()
	case *corev1.PersistentVolumeClaim:
		return factory.Core().V1().PersistentVolumeClaims().Informer()
	case *corev1.PersistentVolume:
		return factory.Core().V1().PersistentVolumes().Informer()
	case *storagev1.CSINode:
		return factory.Storage().V1().CSINodes().Informer()
	default:
		return factory.Storage().V1().StorageClasses().Informer()
	}
}

// onNode returns the candidates on node-1.
func (w *world) onNode(t *testing.T) []Candidate {
	t.Helper()
	found, err := w.finder(t).OnNode(t.Context(), csi, "node-1", failedSince)
	if err != nil {
		t.Fatalf("OnNode: %v", err)
	}
	return found
}

// podGroups answers as the API server does, and counts the questions.
type podGroups struct {
	client.Reader
	minMember map[string]int32
	err       error
	gets      int
}

func (g *podGroups) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	g.gets++
	if g.err != nil {
		return g.err
	}
	minMember, ok := g.minMember[key.Name]
	if !ok {
		return apierrors.NewNotFound(schedulingv1alpha1.Resource("podgroups"), key.Name)
	}
	group, ok := into.(*schedulingv1alpha1.PodGroup)
	if !ok {
		return errors.New("not a PodGroup")
	}
	group.Spec.MinMember = minMember
	return nil
}

// makePod returns a pod of a StatefulSet that has run on the node since an hour.
func makePod(name, node string, claims ...string) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: builders.Namespace, Name: name, UID: types.UID(name),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", Controller: ptr.To(true)}},
			Annotations:     map[string]string{}, Labels: map[string]string{},
		},
		Spec:   corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "main"}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, claim := range claims {
		pod.Spec.Volumes = append(pod.Spec.Volumes, claimVolume(claim))
	}
	return boundAt(pod, now.Add(-time.Hour))
}

func boundAt(pod *corev1.Pod, at time.Time) *corev1.Pod {
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(at)}}
	return pod
}

func claimVolume(claim string) corev1.Volume {
	return corev1.Volume{Name: claim, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
	}}
}

func makeNode(name string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
}

func notReady(node *corev1.Node) { node.Status.Conditions[0].Status = corev1.ConditionUnknown }

func makeCSINode(name string) *storagev1.CSINode {
	return &storagev1.CSINode{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: csi}, {Name: other}}},
	}
}

// on is a volume with copies in sync on the nodes.
func on(nodes ...string) drivers.Answer {
	answer := drivers.Answer{Knowledge: drivers.Known, Driver: "published"}
	for _, node := range nodes {
		answer.Replicas = append(answer.Replicas, drivers.Replica{Node: node})
	}
	return answer
}

func pinnedTo(nodes ...string) drivers.Answer {
	answer := on(nodes...)
	answer.Pinned = true
	return answer
}

func deleting(pod *corev1.Pod) *corev1.Pod {
	pod.DeletionTimestamp = &metav1.Time{Time: now}
	return pod
}
