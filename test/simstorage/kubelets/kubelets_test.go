// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelets

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// start has everything of the cache in the API server as well, and runs the kubelets.
func (h *harness) start(t *testing.T) {
	t.Helper()
	claim, volume := boundClaim("data", h.handle, corev1.ReadWriteOnce)
	_, err := h.client.CoreV1().PersistentVolumeClaims("default").Create(t.Context(), claim, metav1.CreateOptions{})
	must(t, err)
	_, err = h.client.CoreV1().PersistentVolumes().Create(t.Context(), volume, metav1.CreateOptions{})
	must(t, err)
	h.started = true
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.kubelet.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func (h *harness) createPod(pod *corev1.Pod) {
	h.t.Helper()
	_, err := h.client.CoreV1().Pods("default").Create(h.t.Context(), pod, metav1.CreateOptions{})
	must(h.t, err)
}

func (h *harness) removePod(name string) {
	h.t.Helper()
	must(h.t, h.client.CoreV1().Pods("default").Delete(h.t.Context(), name, metav1.DeleteOptions{}))
}

// wantSoon waits until the volume is published on the nodes, and in use on n1 or not.
func (h *harness) wantSoon(inUse bool, nodes ...string) {
	h.t.Helper()
	h.soon(fmt.Sprintf("the volume is not published on %v, in use on n1 %t", nodes, inUse), func() bool {
		v, err := h.model.Volume(h.handle)
		return err == nil && slices.Equal(v.Published, nodes) && slices.Contains(h.inUse("n1"), inUsePrefix+h.handle) == inUse
	})
}

func (h *harness) soon(otherwise string, condition func() bool) {
	h.t.Helper()
	err := wait.PollUntilContextTimeout(h.t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		return condition(), nil
	})
	if err != nil {
		h.t.Fatal(otherwise)
	}
}

func TestFollowsPods(t *testing.T) {
	h := newHarness(t)
	h.start(t)
	h.createPod(newPod("pod", "n1", "data"))
	h.wantSoon(true)
	h.attach("n1")
	h.wantSoon(true, "n1")
	h.removePod("pod")
	h.wantSoon(false)
}

func TestAFenceEndsAProcessThatHangs(t *testing.T) {
	h := newHarness(t)
	h.start(t)
	h.attach("n1")
	h.createPod(hanging(newPod("pod", "n1", "data")))
	h.wantSoon(true, "n1")
	h.removePod("pod")
	must(t, h.model.Fence(h.handle, "n1"))
	h.wantSoon(false)
}

func TestANodeThatIsReconnectedConfirms(t *testing.T) {
	h := newHarness(t)
	h.start(t)
	h.attach("n1")
	h.createPod(newPod("pod", "n1", "data"))
	h.wantSoon(true, "n1")
	must(t, h.model.SetCutOff("n1", true))
	h.removePod("pod")
	h.wantSoon(false, "n1")
	must(t, h.model.SetCutOff("n1", false))
	h.wantSoon(false)
}

func TestADeadKubeletThatComesBackConfirms(t *testing.T) {
	h := newHarness(t)
	h.start(t)
	h.attach("n1")
	h.createPod(newPod("pod", "n1", "data"))
	h.wantSoon(true, "n1")
	h.kill("n1")
	h.soon("the label is not seen", func() bool {
		node, err := h.kubelet.nodes.Get("n1")
		return err == nil && node.Labels[Label] == Dead
	})
	h.removePod("pod")
	h.soon("the pod stays", func() bool { return len(h.kubelet.pods.ListKeys()) == 0 })
	h.wantSoon(true, "n1")
	h.revive("n1")
	h.wantSoon(false)
}

func TestAlikeIsWhatDiffersInNothingThatIsRead(t *testing.T) {
	node := newNode("n", "u")
	pod := newPod("p", "n", "data")
	heartbeat := node.DeepCopy()
	heartbeat.ResourceVersion = "8"
	dead, unmanaged, unused, anew := node.DeepCopy(), node.DeepCopy(), node.DeepCopy(), node.DeepCopy()
	dead.Labels = map[string]string{Label: Dead}
	unmanaged.Annotations = nil
	unused.Status.VolumesInUse = nil
	anew.UID = "other"
	condition := pod.DeepCopy()
	condition.ResourceVersion = "8"
	moved, failed, podAnew := pod.DeepCopy(), pod.DeepCopy(), pod.DeepCopy()
	moved.Spec.NodeName, failed.Status.Phase, podAnew.UID = "n2", corev1.PodFailed, "other"
	for name, tc := range map[string]struct {
		before, after any
		want          bool
	}{
		"a heartbeat":          {node, heartbeat, true},
		"a dead kubelet":       {node, dead, false},
		"another kubelet":      {node, unmanaged, false},
		"volumes in use":       {node, unused, false},
		"a node made anew":     {node, anew, false},
		"a condition of a pod": {pod, condition, true},
		"a pod that is bound":  {pod, moved, false},
		"a pod that failed":    {pod, failed, false},
		"a pod made anew":      {pod, podAnew, false},
		"a pod that hangs":     {pod, hanging(pod.DeepCopy()), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := alike(tc.before, tc.after); got != tc.want {
				t.Errorf("alike = %t, want %t", got, tc.want)
			}
		})
	}
}

// A StatefulSet's pod keeps its name, and an informer may see both of its lives as one change.
func TestAPodMadeAnewConcernsBothNodes(t *testing.T) {
	h := newHarness(t)
	h.start(t)
	h.attach("n1")
	h.createPod(newPod("pod", "n1", "data"))
	h.wantSoon(true, "n1")
	again := newPod("pod", "n2", "data")
	again.UID = "again"
	_, err := h.client.CoreV1().Pods("default").Update(t.Context(), again, metav1.UpdateOptions{})
	must(t, err)
	h.wantSoon(false)
}
