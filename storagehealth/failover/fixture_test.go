// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	crfake "sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/storagehealth/candidates"
	"roost.dev/roost/storagehealth/verdict"
)

const (
	ours   = "csi.example.com"
	theirs = "other.example.com"
	sick   = "node-1"
)

var (
	errCrash = errors.New("crash")
	// hold keeps what is deleted in the API, as a kubelet or an attacher does that has yet to act.
	hold = []string{"test.example.com/hold"}
)

// world is an API server, and what the mover is told of it.
type world struct {
	t *testing.T
	// raw is without the watch over writes that client has.
	raw, client client.WithWatch
	clock       *testingclock.FakeClock
	store       cache.Indexer
	fences      map[drivers.VolumeID]bool
	brake       *verdict.Brake
	// held is a node and a provisioner, with a slash between them, that an operator holds.
	held    string
	mover   *Mover
	log     []string
	crashAt int
	// detaching is of the last advance.
	detaching int
	// finalizers keeps them on pods that are removed by force.
	finalizers bool
	// before is called before every write.
	before func()
	config managerv1alpha1.Failover
	// forbids is what the API server answers an eviction with.
	forbids error
	// keeps are the pods that forbids is about, nil for all.
	keeps  []string
	shared map[string][]*corev1.Pod
	// refusal is what a pod that was just read is judged to be, by name.
	refusal map[string]candidates.Refusal
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	w := &world{
		t: t, clock: testingclock.NewFakeClock(time.Now()),
		fences: map[drivers.VolumeID]bool{}, shared: map[string][]*corev1.Pod{},
		refusal: map[string]candidates.Refusal{},
		config: managerv1alpha1.Failover{
			Mode: managerv1alpha1.Enforce, PodsPerMinute: 100, GracePeriodCap: metav1.Duration{Duration: 30 * time.Second},
			PDBPolicy: managerv1alpha1.Respect, PDBDeadline: metav1.Duration{Duration: 5 * time.Minute},
		},
	}
	w.raw = crfake.NewClientBuilder().WithScheme(clientscheme.Scheme).WithObjects(objects...).
		WithIndex(&corev1.Pod{}, "spec.nodeName", func(object client.Object) []string { return []string{object.(*corev1.Pod).Spec.NodeName} }).Build()
	w.client = interceptor.NewClient(w.raw, interceptor.Funcs{Delete: w.delete, Patch: w.patch, SubResourceCreate: func(
		ctx context.Context, _ client.Client, _ string, pod, eviction client.Object, _ ...client.SubResourceCreateOption) error {
		return w.evict(ctx, pod, eviction.(*policyv1.Eviction))
	}})
	w.restart()
	return w
}

// restart makes a new mover, which remembers nothing.
func (w *world) restart() {
	w.t.Helper()
	var known []runtime.Object
	for _, list := range []client.ObjectList{&corev1.PersistentVolumeList{}, &corev1.PersistentVolumeClaimList{}, &storagev1.VolumeAttachmentList{}, &storagev1.CSIDriverList{}} {
		if err := w.raw.List(w.t.Context(), list); err != nil {
			w.t.Fatalf("listing: %v", err)
		}
		known = append(known, list)
	}
	objects := informers.NewSharedInformerFactory(fake.NewClientset(known...), 0)
	var err error
	w.mover, err = New(Options{
		Client: w.client, Informers: objects, Prover: w, Config: w.config, Clock: w.clock, Metrics: NewMetrics(),
		Recorder: events.NewFakeRecorder(1000),
		Sharing:  w.sharing,
	})
	if err != nil {
		w.t.Fatalf("New: %v", err)
	}
	objects.Start(w.t.Context().Done())
	objects.WaitForCacheSync(w.t.Context().Done())
	w.store = w.mover.attachments
}

// sharing are the pods in the API with the claim behind the PersistentVolume, and those that a test adds.
func (w *world) sharing(_, pv string) []*corev1.Pod {
	var list corev1.PodList
	if err := w.raw.List(w.t.Context(), &list); err != nil {
		w.t.Fatalf("listing pods: %v", err)
	}
	found := slices.Clone(w.shared[pv])
	for i := range list.Items {
		for _, v := range list.Items[i].Spec.Volumes {
			if v.PersistentVolumeClaim != nil && "pv-"+v.PersistentVolumeClaim.ClaimName == pv {
				found = append(found, &list.Items[i])
			}
		}
	}
	return found
}

func (w *world) Fenced(id drivers.VolumeID, node string) (drivers.Fence, bool) {
	return drivers.Fence{}, node == sick && w.fences[id]
}

// write notes a write, and lets the one that is to crash fail.
func (w *world) write(format string, args ...any) error {
	if w.before != nil {
		w.before()
	}
	w.log = append(w.log, fmt.Sprintf(format, args...))
	if w.crashAt > 0 && len(w.log) == w.crashAt {
		return errCrash
	}
	return nil
}

func (w *world) delete(ctx context.Context, _ client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
	options := (&client.DeleteOptions{}).ApplyOptions(opts)
	if options.Preconditions == nil || ptr.Deref(options.Preconditions.UID, "") != object.GetUID() {
		w.t.Errorf("%T %s is deleted without its UID", object, object.GetName())
	}
	grace := ""
	if options.GracePeriodSeconds != nil {
		grace = fmt.Sprintf(" grace %d", *options.GracePeriodSeconds)
	}
	if err := w.write("delete %s%s", object.GetName(), grace); err != nil {
		return err
	}
	live := object.DeepCopyObject().(client.Object)
	if err := w.raw.Get(ctx, client.ObjectKeyFromObject(object), live); err != nil {
		return err
	}
	if _, isPod := object.(*corev1.Pod); isPod && *options.GracePeriodSeconds == 0 {
		live.SetDeletionGracePeriodSeconds(options.GracePeriodSeconds)
		if !w.finalizers {
			live.SetFinalizers(nil)
		}
		if err := w.raw.Update(ctx, live); err != nil {
			return err
		}
	}
	err := client.IgnoreNotFound(w.raw.Delete(ctx, live))
	w.follow(ctx, object)
	return err
}

func (w *world) patch(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
	verb := "untaint"
	if HasOurTaint(object.(*corev1.Node)) {
		verb = "taint"
	}
	if err := w.write("%s %s", verb, object.GetName()); err != nil {
		return err
	}
	return c.Patch(ctx, object, patch, opts...)
}

func (w *world) evict(ctx context.Context, object client.Object, eviction *policyv1.Eviction) error {
	options := eviction.DeleteOptions
	if options.Preconditions == nil || ptr.Deref(options.Preconditions.UID, "") != object.GetUID() {
		w.t.Errorf("pod %s is evicted without its UID", object.GetName())
	}
	verb := "evict"
	if len(options.DryRun) > 0 {
		verb = "ask"
	}
	if err := w.write("%s %s grace %d", verb, object.GetName(), *options.GracePeriodSeconds); err != nil {
		return err
	}
	if w.forbids != nil && (w.keeps == nil || slices.Contains(w.keeps, object.GetName())) {
		return w.forbids
	}
	if verb == "ask" {
		return nil
	}
	live := &corev1.Pod{}
	if err := w.raw.Get(ctx, client.ObjectKeyFromObject(object), live); err != nil {
		return err
	}
	return w.raw.Delete(ctx, live)
}

// follow keeps the informer's memory in step, as a watch would.
func (w *world) follow(ctx context.Context, object client.Object) {
	attachment, ok := object.(*storagev1.VolumeAttachment)
	if !ok {
		return
	}
	live := &storagev1.VolumeAttachment{}
	if err := w.raw.Get(ctx, client.ObjectKeyFromObject(attachment), live); err != nil {
		_ = w.store.Delete(attachment)
		return
	}
	_ = w.store.Update(live)
}

// job is what the controller would ask for now.
func (w *world) job(names ...string) *Job {
	w.t.Helper()
	job := &Job{Provisioner: ours, Node: sick, Cause: "its disk is gone", MayMove: func(node string, provisioners []string) (verdict.Brake, bool) {
		for _, provisioner := range provisioners {
			if held := node + "/" + provisioner; w.held == held {
				return verdict.Brake{Reason: "Maintenance", Message: held}, false
			}
		}
		if w.brake != nil {
			return *w.brake, false
		}
		return verdict.Brake{}, true
	}}
	job.Judge = func(live *corev1.Pod) (candidates.Refusal, error) { return w.refusal[live.Name], nil }
	for _, name := range names {
		pod := &corev1.Pod{}
		err := w.raw.Get(w.t.Context(), types.NamespacedName{Namespace: builders.Namespace, Name: name}, pod)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			w.t.Fatalf("reading pod %s: %v", name, err)
		}
		volumes, err := w.mover.resolver.Resolve(pod)
		if err != nil {
			w.t.Fatalf("resolving pod %s: %v", name, err)
		}
		job.Candidates = append(job.Candidates, candidates.Candidate{Pod: pod, Volumes: volumes})
	}
	return job
}

// advance takes a step for each pod, and returns what they wait for then, "name: reason".
func (w *world) advance(names ...string) []string {
	w.t.Helper()
	result, err := w.mover.Advance(w.t.Context(), w.job(names...))
	if err != nil {
		w.log = append(w.log, "error: "+err.Error())
	}
	w.detaching = result.Detaching
	var reasons []string
	for _, p := range result.Progress {
		reasons = append(reasons, p.Pod.Name+": "+p.Reason)
	}
	return reasons
}

// release lets go of an object that is held: the attacher has unpublished the volume, the kubelet has ended the pod.
func (w *world) release(object client.Object, name string) {
	w.t.Helper()
	object.SetName(name)
	if _, ok := object.(*corev1.Pod); ok {
		object.SetNamespace(builders.Namespace)
	}
	if err := w.raw.Get(w.t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		w.t.Fatalf("releasing %s: %v", name, err)
	}
	object.SetFinalizers(nil)
	if err := w.raw.Update(w.t.Context(), object); err != nil {
		w.t.Fatalf("releasing %s: %v", name, err)
	}
	w.follow(w.t.Context(), object)
}

// end deletes a pod, which the API keeps.
func (w *world) end(name string) {
	w.t.Helper()
	if err := w.raw.Delete(w.t.Context(), makePod(name)); err != nil {
		w.t.Fatalf("deleting pod %s: %v", name, err)
	}
}

func (w *world) setReady(ready bool) {
	w.t.Helper()
	node := &corev1.Node{}
	if err := w.raw.Get(w.t.Context(), types.NamespacedName{Name: sick}, node); err != nil {
		w.t.Fatalf("reading the node: %v", err)
	}
	node.Status = makeNode(ready).Status
	if err := w.raw.Status().Update(w.t.Context(), node); err != nil {
		w.t.Fatalf("writing the node: %v", err)
	}
}

func (w *world) fence(handles ...string) {
	for _, handle := range handles {
		w.fences[drivers.VolumeID{Provisioner: ours, Handle: handle}] = true
	}
}

func makeNode(ready bool, taints ...corev1.Taint) *corev1.Node {
	status := corev1.ConditionUnknown
	if ready {
		status = corev1.ConditionTrue
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: sick},
		Spec:       corev1.NodeSpec{Taints: taints},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}},
	}
}

// makePod is a pod on the sick node that the API keeps until it is released or removed, with the claims of the given names.
func makePod(name string, claims ...string) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: builders.Namespace, Name: name, UID: types.UID(name + "-uid"), Finalizers: hold,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", UID: "db", Controller: ptr.To(true)}},
		},
		Spec:   corev1.PodSpec{NodeName: sick, TerminationGracePeriodSeconds: ptr.To[int64](600)},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, claim := range claims {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: claim, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}})
	}
	return pod
}

// makeVolume is a claim, its PersistentVolume pv-<name> and its attachment va-<name> to the sick node, which is held.
func makeVolume(name, provisioner string) []client.Object {
	return []client.Object{
		builders.MakeClaim(name).BoundTo("pv-" + name).Obj(),
		builders.MakePV("pv-"+name).CSI(provisioner, name).ClaimedBy(name).Obj(),
		&storagev1.VolumeAttachment{
			ObjectMeta: metav1.ObjectMeta{Name: "va-" + name, UID: types.UID("va-" + name), Finalizers: hold},
			Spec: storagev1.VolumeAttachmentSpec{
				Attacher: provisioner, NodeName: sick,
				Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr.To("pv-" + name)},
			},
		},
	}
}

func join(first client.Object, more ...[]client.Object) []client.Object {
	objects := []client.Object{first}
	for _, m := range more {
		objects = append(objects, m...)
	}
	return objects
}
