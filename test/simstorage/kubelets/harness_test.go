// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelets

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clocktesting "k8s.io/utils/clock/testing"

	"roost.dev/roost/test/simstorage/cluster"
	"roost.dev/roost/test/simstorage/csiserver"
)

const foreignInUse = "kubernetes.io/csi/other.example.com^disk"

// harness are the kubelets of n1 and n2, which kwok plays, and one volume, the claim data, with replicas on both. Their
// caches are what the test puts there, so that a look at a node is all that happens.
type harness struct {
	t       testing.TB
	client  *fake.Clientset
	model   *cluster.Cluster
	kubelet *Kubelets
	handle  string
	version int
	// started tells that informers fill the caches.
	started bool
}

func newHarness(t testing.TB) *harness {
	t.Helper()
	model, err := cluster.New(cluster.Options{
		Clock: clocktesting.NewFakePassiveClock(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)), PoolCapacity: 1 << 40,
	})
	must(t, err)
	must(t, model.SetFencing(cluster.FencingManual))
	h := &harness{t: t, client: fake.NewClientset(newNode("n1", "uid-1"), newNode("n2", "uid-2")), model: model}
	for _, name := range []string{"n1", "n2"} {
		model.SetNode(name, map[string]string{corev1.LabelHostname: name}, true)
	}
	h.kubelet, err = New(h.client, model)
	must(t, err)
	h.refreshNodes()
	h.handle = h.claim("data", corev1.ReadWriteOnce)
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newNode(name string, uid types.UID) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: uid, Annotations: map[string]string{kwokAnnotation: kwokNode}},
		Status:     corev1.NodeStatus{VolumesInUse: []corev1.UniqueVolumeName{foreignInUse}},
	}
}

func newPod(name, node string, claims ...string) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)},
		Spec:       corev1.PodSpec{NodeName: node},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, claim := range claims {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: claim, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}})
	}
	return pod
}

func hanging(pod *corev1.Pod) *corev1.Pod {
	pod.Annotations = map[string]string{HangsAnnotation: "true"}
	return pod
}

// claim makes a volume, its PersistentVolume and a claim bound to it, and returns the volume's handle.
func (h *harness) claim(name string, mode corev1.PersistentVolumeAccessMode) string {
	h.t.Helper()
	v, err := h.model.CreateVolume(cluster.VolumeRequest{
		Name: "pv-" + name, RequiredBytes: 1, Class: cluster.Class{Replicas: 2, Access: cluster.AccessAny},
	})
	must(h.t, err)
	claim, volume := boundClaim(name, v.Handle, mode)
	h.put(claim)
	h.put(volume)
	return v.Handle
}

func boundClaim(name, handle string, mode corev1.PersistentVolumeAccessMode) (*corev1.PersistentVolumeClaim, *corev1.PersistentVolume) {
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: "pv-" + name},
	}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv-" + name},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{mode},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: csiserver.DriverName, VolumeHandle: handle},
			},
		},
	}
	return claim, volume
}

// put has an object in the cache of its kind, trimmed as the informers trim it.
func (h *harness) put(object runtime.Object) {
	h.t.Helper()
	trimmed, err := trim(object)
	must(h.t, err)
	core := h.kubelet.factory.Core().V1()
	switch o := trimmed.(type) {
	case *corev1.Pod:
		err = core.Pods().Informer().GetIndexer().Add(o)
	case *corev1.Node:
		h.version++
		o.ResourceVersion = fmt.Sprint(h.version)
		err = core.Nodes().Informer().GetIndexer().Add(o)
	case *corev1.PersistentVolumeClaim:
		err = core.PersistentVolumeClaims().Informer().GetIndexer().Add(o)
	case *corev1.PersistentVolume:
		err = core.PersistentVolumes().Informer().GetIndexer().Add(o)
	}
	must(h.t, err)
}

func (h *harness) deletePod(name string) {
	h.t.Helper()
	must(h.t, h.kubelet.pods.Delete(newPod(name, "")))
}

func (h *harness) deleteNode(name string) {
	h.t.Helper()
	must(h.t, h.kubelet.factory.Core().V1().Nodes().Informer().GetIndexer().Delete(newNode(name, "")))
}

// changeNode changes a node in the API server and the cache.
func (h *harness) changeNode(name string, change func(*corev1.Node)) {
	h.t.Helper()
	node, err := h.client.CoreV1().Nodes().Get(h.t.Context(), name, metav1.GetOptions{})
	must(h.t, err)
	change(node)
	_, err = h.client.CoreV1().Nodes().Update(h.t.Context(), node, metav1.UpdateOptions{})
	must(h.t, err)
	h.refreshNodes()
}

func (h *harness) kill(name string) {
	h.t.Helper()
	h.changeNode(name, func(n *corev1.Node) { n.Labels = map[string]string{Label: Dead} })
}

func (h *harness) revive(name string) {
	h.t.Helper()
	h.changeNode(name, func(n *corev1.Node) { n.Labels = nil })
}

// refreshNodes has the cache see the API server's nodes.
func (h *harness) refreshNodes() {
	h.t.Helper()
	if h.started {
		return
	}
	nodes, err := h.client.CoreV1().Nodes().List(h.t.Context(), metav1.ListOptions{})
	must(h.t, err)
	for i := range nodes.Items {
		h.put(&nodes.Items[i])
	}
}

func (h *harness) attach(node string) {
	h.t.Helper()
	must(h.t, h.model.AttachVolume(cluster.Attach{Handle: h.handle, Node: node, Sharing: cluster.SingleNode}))
}

func (h *harness) look() {
	h.t.Helper()
	for _, name := range []string{"n1", "n2"} {
		must(h.t, h.kubelet.syncNode(h.t.Context(), name))
	}
	h.refreshNodes()
}

// running has the volume attached to n1 and a pod there that has it.
func (h *harness) running(pod *corev1.Pod) {
	h.t.Helper()
	h.attach("n1")
	h.put(pod)
	h.look()
	h.want(state{published: true, inUse: true})
}

// state is what is known of the volume on n1.
type state struct{ published, inUse bool }

func (h *harness) want(want state) {
	h.t.Helper()
	v, err := h.model.Volume(h.handle)
	must(h.t, err)
	got := map[string][]string{"published": v.Published, "inUse": h.inUse("n1")}
	wanted := map[string][]string{"published": {}, "inUse": {foreignInUse}}
	if want.published {
		wanted["published"] = []string{"n1"}
	}
	if want.inUse {
		wanted["inUse"] = append(wanted["inUse"], "kubernetes.io/csi/sim.roost.dev^"+h.handle)
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		h.t.Errorf("volume on n1 (-want +got):\n%s", diff)
	}
}

func (h *harness) inUse(node string) []string {
	h.t.Helper()
	n, err := h.client.CoreV1().Nodes().Get(h.t.Context(), node, metav1.GetOptions{})
	must(h.t, err)
	var names []string
	for _, name := range n.Status.VolumesInUse {
		names = append(names, string(name))
	}
	return names
}

func (h *harness) patches() int {
	count := 0
	for _, action := range h.client.Actions() {
		if action.Matches("patch", "nodes") {
			count++
		}
	}
	return count
}
