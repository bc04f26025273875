// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelets

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"roost.dev/roost/test/simstorage/cluster"
)

type (
	steps = []func(*harness)

	// ending is what happens to a pod that runs on n1, and what the node holds in the end.
	ending struct {
		steps steps
		want  state
	}
)

var held, let = state{published: true, inUse: true}, state{}

func plain() *corev1.Pod { return newPod("pod", "n1", "data") }

func kill(h *harness)       { h.kill("n1") }
func revive(h *harness)     { h.revive("n1") }
func cutOff(h *harness)     { must(h.t, h.model.SetCutOff("n1", true)) }
func reconnect(h *harness)  { must(h.t, h.model.SetCutOff("n1", false)) }
func fence(h *harness)      { must(h.t, h.model.Fence(h.handle, "n1")) }
func remove(h *harness)     { h.deletePod("pod") }
func hangNoMore(h *harness) { h.put(plain()) }

func runEndings(t *testing.T, pod func() *corev1.Pod, endings map[string]ending) {
	t.Helper()
	for name, tc := range endings {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			h.running(pod())
			for _, step := range tc.steps {
				step(h)
				h.look()
			}
			h.want(tc.want)
		})
	}
}

func TestAPodThatEnds(t *testing.T) {
	unmanage := func(h *harness) { h.changeNode("n1", func(n *corev1.Node) { n.Annotations = nil }) }
	otherFate := func(h *harness) {
		h.changeNode("n1", func(n *corev1.Node) { n.Labels = map[string]string{Label: "tired"} })
	}
	recreateNode := func(h *harness) { h.changeNode("n1", func(n *corev1.Node) { n.UID = "uid-1-again" }) }
	phase := func(phase corev1.PodPhase) func(*harness) {
		return func(h *harness) {
			pod := plain()
			pod.Status.Phase = phase
			h.put(pod)
		}
	}
	terminating := func(h *harness) {
		pod := plain()
		pod.DeletionTimestamp = &pod.CreationTimestamp
		h.put(pod)
	}
	runEndings(t, plain, map[string]ending{
		"lets go of its volume":                          {steps{remove}, let},
		"lets go when it failed":                         {steps{phase(corev1.PodFailed)}, let},
		"holds its volume while it terminates":           {steps{terminating}, held},
		"is not confirmed by a dead kubelet":             {steps{kill, remove}, held},
		"is not confirmed by a phase that another set":   {steps{kill, phase(corev1.PodFailed)}, held},
		"is confirmed when the kubelet is back":          {steps{kill, remove, revive}, let},
		"ended before the kubelet died":                  {steps{remove, kill}, let},
		"has a kubelet whose label says something else":  {steps{otherFate, remove}, let},
		"is not confirmed where kwok is not the kubelet": {steps{unmanage, remove}, held},
		"may write on when cut off, but is not in use":   {steps{cutOff, remove}, state{published: true}},
		"is confirmed when the node is reconnected":      {steps{cutOff, remove, reconnect}, let},
		"is not confirmed when only one of both is back": {steps{kill, cutOff, remove, reconnect}, held},
		"stays with a fence, as nobody can confirm":      {steps{kill, remove, fence}, held},
		"is gone with a node that was made anew":         {steps{kill, remove, recreateNode}, state{inUse: true}},
	})
}

func TestAPodThatHangs(t *testing.T) {
	hangs := func() *corev1.Pod { return hanging(plain()) }
	runEndings(t, hangs, map[string]ending{
		"hangs, and holds its volume for good":             {steps{remove}, held},
		"hangs, until its volume is fenced":                {steps{remove, fence}, let},
		"hangs on a dead node, fence or not":               {steps{kill, remove, fence}, held},
		"hangs, until the node comes back":                 {steps{remove, kill, revive}, let},
		"hangs, until the node is reconnected":             {steps{cutOff, remove, reconnect}, let},
		"hangs, and holds its volume while it is there":    {steps{kill, revive, fence}, held},
		"hung once, and does no more":                      {steps{hangNoMore, remove}, let},
		"is not gone with a node that came back as it was": {steps{kill, remove}, held},
	})
}

func TestANodeThatIsDeletedHoldsNothing(t *testing.T) {
	h := newHarness(t)
	h.running(newPod("pod", "n1", "data"))
	h.kill("n1")
	h.look()
	h.deleteNode("n1")
	must(t, h.kubelet.syncNode(t.Context(), "n1"))
	v, err := h.model.Volume(h.handle)
	must(t, err)
	if len(v.Published) != 0 {
		t.Errorf("published on %v after the node is deleted", v.Published)
	}
}

func TestWhatDoesNotPublish(t *testing.T) {
	pending := newPod("pod", "n1", "data")
	pending.Status.Phase = corev1.PodPending
	for name, tc := range map[string]struct {
		pod    *corev1.Pod
		attach string
		want   state
	}{
		"a pod that is pending":                     {pending, "n1", state{}},
		"a pod without the claim":                   {newPod("pod", "n1"), "n1", state{}},
		"a pod whose volume is not attached":        {newPod("pod", "n1", "data"), "", state{inUse: true}},
		"a pod whose volume is attached elsewhere":  {newPod("pod", "n1", "data"), "n2", state{inUse: true}},
		"a pod with a claim of another driver only": {newPod("pod", "n1", "foreign"), "n1", state{}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			claim, volume := boundClaim("foreign", h.handle, corev1.ReadWriteOnce)
			volume.Spec.CSI.Driver = "other.example.com"
			h.put(claim)
			h.put(volume)
			if tc.attach != "" {
				h.attach(tc.attach)
			}
			h.put(tc.pod)
			h.look()
			h.want(tc.want)
		})
	}
}

func TestTwoNodesAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(h *harness)
		want   int
	}{
		"where nobody knows of the first":  {func(h *harness) { h.kill("n1") }, 1},
		"where the first is fenced":        {func(h *harness) { h.kill("n1"); must(h.t, h.model.Fence(h.handle, "n1")) }, 0},
		"where the first kubelet confirms": {func(*harness) {}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			h.running(newPod("pod", "n1", "data"))
			tc.before(h)
			h.look()
			h.deletePod("pod")
			h.look()
			must(t, h.model.DetachVolume(h.handle, "n1"))
			h.attach("n2")
			h.put(newPod("pod-again", "n2", "data"))
			h.look()
			h.look()
			if got := h.model.Violations(); len(got) != tc.want {
				t.Errorf("violations = %v, want %d", got, tc.want)
			}
		})
	}
}

func TestAReplacementThatKwokCallsRunningIsNoViolation(t *testing.T) {
	h := newHarness(t)
	h.running(newPod("pod", "n1", "data"))
	h.put(newPod("replacement", "n2", "data"))
	h.look()
	if got := h.model.Violations(); len(got) != 0 {
		t.Errorf("violations = %v, want none: the volume is not attached to the second node", got)
	}
	h.want(state{published: true, inUse: true})
}

func TestTwoPodsOnOneNode(t *testing.T) {
	h := newHarness(t)
	h.running(newPod("pod", "n1", "data"))
	h.put(newPod("second", "n1", "data"))
	h.look()
	h.deletePod("pod")
	h.look()
	h.want(state{published: true, inUse: true})
	h.deletePod("second")
	h.look()
	h.want(state{})
}

func TestAWriterBesideAReaderWrites(t *testing.T) {
	m := newMachine("uid")
	m.tenants["reader"] = &tenant{published: true, mounts: []cluster.Attach{{Handle: "v", ReadOnly: true}}}
	attached := func(string) bool { return true }
	if !m.published(attached)["v"].ReadOnly {
		t.Error("a reader alone writes")
	}
	m.tenants["writer"] = &tenant{published: true, mounts: []cluster.Attach{{Handle: "v"}}}
	if m.published(attached)["v"].ReadOnly {
		t.Error("a writer beside a reader only reads")
	}
}

func TestAClaimThatIsKnownLate(t *testing.T) {
	h := newHarness(t)
	h.attach("n1")
	claim, volume := boundClaim("late", h.handle, corev1.ReadWriteOnce)
	h.put(newPod("pod", "n1", "late"))
	unbound := claim.DeepCopy()
	unbound.Spec.VolumeName = ""
	for _, step := range []struct {
		put  runtime.Object
		word string
	}{{nil, "late"}, {unbound, "not bound"}, {claim, "pv-late"}} {
		if step.put != nil {
			h.put(step.put)
		}
		if err := h.kubelet.syncNode(t.Context(), "n1"); err == nil || !strings.Contains(err.Error(), step.word) {
			t.Errorf("error = %v, want one that says %q", err, step.word)
		}
	}
	h.want(state{})
	h.put(volume)
	h.look()
	h.want(state{published: true, inUse: true})
}

func TestANodeThatTheModelDoesNotKnowYet(t *testing.T) {
	h := newHarness(t)
	h.put(newNode("n3", "uid-3"))
	if err := h.kubelet.syncNode(t.Context(), "n3"); err == nil || !strings.Contains(err.Error(), "n3") {
		t.Errorf("error = %v, want one that names the node, so that it is tried again", err)
	}
}

func TestVolumesInUseAreWrittenOnChangeOnly(t *testing.T) {
	h := newHarness(t)
	h.running(newPod("pod", "n1", "data"))
	if got := h.patches(); got != 1 {
		t.Errorf("%d patches for one pod on one node, want 1", got)
	}
	// A cache that lags behind what was written is no reason to write it again.
	h.claim("more", corev1.ReadWriteOnce)
	h.put(newPod("with-more", "n1", "more"))
	for range 3 {
		must(t, h.kubelet.syncNode(t.Context(), "n1"))
	}
	h.refreshNodes()
	h.look()
	if got := h.patches(); got != 2 {
		t.Errorf("%d patches, want 2", got)
	}
	// What somebody wiped is written again.
	h.changeNode("n1", func(n *corev1.Node) { n.Status.VolumesInUse = []corev1.UniqueVolumeName{foreignInUse} })
	h.look()
	if got := len(h.inUse("n1")); got != 3 {
		t.Errorf("%d volumes in use after they were wiped, want 3", got)
	}
}

func TestADeadKubeletWritesNothing(t *testing.T) {
	h := newHarness(t)
	h.attach("n1")
	h.kill("n1")
	h.put(newPod("pod", "n1", "data"))
	h.look()
	h.want(state{published: true})
	if got := h.patches(); got != 0 {
		t.Errorf("%d patches by a dead kubelet", got)
	}
}

func TestAFailedPatchIsRepeated(t *testing.T) {
	h := newHarness(t)
	fault := errors.New("injected")
	h.client.PrependReactor("patch", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) { return fault != nil, nil, fault })
	h.attach("n1")
	h.put(newPod("pod", "n1", "data"))
	if err := h.kubelet.syncNode(t.Context(), "n1"); !errors.Is(err, fault) {
		t.Errorf("error = %v, want the injected one", err)
	}
	h.want(state{published: true})
	fault = nil
	h.look()
	h.want(state{published: true, inUse: true})
}

func TestManyPodsOnANode(t *testing.T) {
	h := newHarness(t)
	const pods = 500
	for i := range pods {
		name := fmt.Sprint("claim-", i)
		handle := h.claim(name, corev1.ReadWriteOnce)
		must(t, h.model.AttachVolume(cluster.Attach{Handle: handle, Node: "n1", Sharing: cluster.SingleNode}))
		h.put(newPod(name, "n1", name))
	}
	h.look()
	if diff := cmp.Diff([]int{pods + 1, 1}, []int{len(h.inUse("n1")), h.patches()}); diff != "" {
		t.Errorf("volumes in use and patches (-want +got):\n%s", diff)
	}
}

func BenchmarkNodeWith500Pods(b *testing.B) {
	h := newHarness(b)
	for i := range 500 {
		name := fmt.Sprint("claim-", i)
		h.claim(name, corev1.ReadWriteOnce)
		h.put(newPod(name, "n1", name))
	}
	h.look()
	for b.Loop() {
		if err := h.kubelet.syncNode(b.Context(), "n1"); err != nil {
			b.Fatal(err)
		}
	}
}
