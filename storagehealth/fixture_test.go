// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	crfake "sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/storagehealth/verdict"
)

const provisioner = "csi.example.com"

// world is a cluster of six nodes with storage. Volume v is used by pod db on node-0, with a copy on node-1.
type world struct {
	t          *testing.T
	client     client.WithWatch
	kube       *fake.Clientset
	clock      *testingclock.FakeClock
	config     managerv1alpha1.StorageHealth
	states     map[string]drivers.StorageState
	controller *Controller
	recorder   *events.FakeRecorder
	// writes are all that was written, in order.
	writes []string
	// before is called before every write.
	before func(write string) error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: testingclock.NewFakeClock(time.Now()), states: map[string]drivers.StorageState{}, config: testConfig()}
	var objects []client.Object
	for i := range 6 {
		objects = append(objects, makeNode(fmt.Sprintf("node-%d", i)), makeCSINode(fmt.Sprintf("node-%d", i), provisioner))
		w.states[fmt.Sprintf("node-%d", i)] = drivers.Online
	}
	objects = append(objects, builders.MakeClaim("v").BoundTo("pv").Obj(), builders.MakePV("pv").CSI(provisioner, "v").ClaimedBy("v").Obj(),
		makePod("db", "v"), &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: provisioner}})
	var known []runtime.Object
	for _, object := range objects {
		known = append(known, object.DeepCopyObject())
	}
	w.kube = fake.NewClientset(known...)
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientscheme.AddToScheme, storagev1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	raw := crfake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&storagev1alpha1.StorageNode{}).Build()
	w.client = interceptor.NewClient(raw, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			return w.write("create "+object.GetName(), func() error { return c.Create(ctx, object, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
			return w.write("delete "+object.GetName(), func() error { return c.Delete(ctx, object, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return w.write("patch "+object.GetName(), func() error { return c.Patch(ctx, object, patch, opts...) })
		},
		SubResourceCreate: func(ctx context.Context, _ client.Client, sub string, object, _ client.Object, _ ...client.SubResourceCreateOption) error {
			return w.write(sub+" "+object.GetName(), func() error {
				_ = w.controller.followed[1].informer.GetIndexer().Delete(object)
				return raw.Delete(ctx, object)
			})
		},
		SubResourceUpdate: func(ctx context.Context, _ client.Client, sub string, object client.Object, opts ...client.SubResourceUpdateOption) error {
			var state storagev1alpha1.HealthState
			if storageNode, ok := object.(*storagev1alpha1.StorageNode); ok {
				state = storageNode.Status.State
			}
			return w.write(fmt.Sprintf("%s %s %s", sub, object.GetName(), state), func() error { return raw.SubResource(sub).Update(ctx, object, opts...) })
		},
	})
	w.restart()
	return w
}

func (w *world) write(what string, do func() error) error {
	if w.before != nil {
		if err := w.before(what); err != nil {
			return err
		}
	}
	w.writes = append(w.writes, what)
	return do()
}

// restart makes a new controller that knows what the API server knows.
func (w *world) restart() {
	w.t.Helper()
	factory := informers.NewSharedInformerFactory(w.kube, 0)
	w.recorder = events.NewFakeRecorder(1000)
	var err error
	w.controller, err = New(Options{
		Client: w.client, StorageNodes: w.client, Informers: factory, Registry: w, Config: w.config,
		Recorder: w.recorder, Clock: w.clock, Metrics: NewMetrics(),
	})
	if err != nil {
		w.t.Fatalf("New: %v", err)
	}
	factory.Start(w.t.Context().Done())
	factory.WaitForCacheSync(w.t.Context().Done())
	w.syncPods()
	var list storagev1alpha1.StorageNodeList
	if err := w.client.List(w.t.Context(), &list); err != nil {
		w.t.Fatal(err)
	}
	for i := range list.Items {
		w.controller.storageNodeChanged(&list.Items[i])
	}
}

// syncPods takes pods that are gone from the API out of the informer's memory.
func (w *world) syncPods() {
	indexer := w.controller.followed[1].informer.GetIndexer()
	for _, object := range indexer.List() {
		pod := object.(*corev1.Pod)
		if err := w.client.Get(w.t.Context(), client.ObjectKeyFromObject(pod), &corev1.Pod{}); err != nil {
			_ = indexer.Delete(pod)
		}
	}
}

// pass lets time pass, second by second, and reconciles what is due.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for range int(d / time.Second) {
		w.clock.Step(time.Second)
		changed, _ := w.controller.board.Evaluate()
		for _, key := range changed {
			w.controller.queue.Add(key)
		}
		for i := range 6 {
			key := keyOn(fmt.Sprintf("node-%d", i))
			if v, ok := w.controller.board.Verdict(key); !ok || v.Failed() || contains(changed, key) {
				w.reconcile(key)
			}
		}
	}
}

func contains(keys []verdict.Key, key verdict.Key) bool {
	for _, k := range keys {
		if k == key {
			return true
		}
	}
	return false
}

// reconcile tries again after a failure, as the queue would.
func (w *world) reconcile(key verdict.Key) {
	w.t.Helper()
	var err error
	for range 3 {
		if _, err = w.controller.reconcile(w.t.Context(), key); err == nil {
			return
		}
	}
	w.t.Logf("reconciling %v: %v", key, err)
}

func (w *world) storageNode(node string) *storagev1alpha1.StorageNode {
	w.t.Helper()
	object := &storagev1alpha1.StorageNode{}
	if err := w.client.Get(w.t.Context(), types.NamespacedName{Name: provisioner + "." + node}, object); err != nil {
		w.t.Fatalf("reading the StorageNode of %s: %v", node, err)
	}
	return object
}

// events returns what was told since the last call.
func (w *world) events() []string {
	var told []string
	for {
		select {
		case event := <-w.recorder.Events:
			told = append(told, event)
		default:
			return told
		}
	}
}

func (w *world) wroteSince(n int, prefix string) int {
	count := 0
	for _, write := range w.writes[n:] {
		if strings.HasPrefix(write, prefix) {
			count++
		}
	}
	return count
}

// The registry.

func (w *world) Locate(drivers.VolumeID) drivers.Answer {
	return drivers.Answer{Knowledge: drivers.Known, Driver: "test", Location: drivers.Location{
		Replicas: []drivers.Replica{{Node: "node-0"}, {Node: "node-1"}}}}
}

func (w *world) NodeReport(_, node string) drivers.NodeReport {
	return drivers.NodeReport{State: w.states[node], Message: map[bool]string{true: "the disk is gone"}[w.states[node] == drivers.Offline]}
}

func (w *world) Fenced(drivers.VolumeID, string) (drivers.Fence, bool) { return drivers.Fence{}, false }

func (w *world) Subscribe(func(drivers.Change)) {}

func testConfig() managerv1alpha1.StorageHealth {
	second := func(n int) metav1.Duration { return metav1.Duration{Duration: time.Duration(n) * time.Second} }
	return managerv1alpha1.StorageHealth{
		UnhealthyAfter: second(10), BadReports: 3, HealthyAfter: second(30), ReportPeriod: second(2), MaxUnhealthyPercent: ptr.To[int32](33),
		Failover: managerv1alpha1.Failover{
			Mode: managerv1alpha1.Enforce, Default: managerv1alpha1.Enabled, PodsPerMinute: 100, GracePeriodCap: second(30),
			PDBPolicy: managerv1alpha1.Respect, PDBDeadline: second(300), GangPolicy: managerv1alpha1.Wait, ArrivalGrace: second(300),
		},
	}
}

func keyOn(node string) verdict.Key { return verdict.Key{Provisioner: provisioner, Node: node} }

func makeNode(name string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
}

func makeCSINode(name string, provisioners ...string) *storagev1.CSINode {
	csiNode := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, p := range provisioners {
		csiNode.Spec.Drivers = append(csiNode.Spec.Drivers, storagev1.CSINodeDriver{Name: p, NodeID: name})
	}
	return csiNode
}

func makePod(name, claim string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: builders.Namespace, Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(time.Now().Add(-time.Hour)),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", UID: "db", Controller: ptr.To(true)}},
		},
		Spec: corev1.PodSpec{NodeName: "node-0", Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, StartTime: ptr.To(metav1.NewTime(time.Now().Add(-time.Hour)))},
	}
}
