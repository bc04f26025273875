// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// LabelKubelet says on a node whether its kubelet lives: alive, or dead.
	LabelKubelet = "sim.roost.dev/kubelet"
	// AnnotationHangs says, as "true" on a pod, that the pod hangs: its kubelet does not get rid of it. It may be added to
	// a pod that runs already.
	AnnotationHangs = "sim.roost.dev/hangs"

	kubeletAlive = "alive"
	kubeletDead  = "dead"

	// kubeletSwitch is how long kwok may take to see that a kubelet died or lives again; it takes milliseconds.
	kubeletSwitch = time.Minute
	// noticedAfter is how old the lease of a dead kubelet is when kube-controller-manager has noticed: its stock 50 s and
	// its period of 5 s.
	noticedAfter = 55 * time.Second
)

// KillOption says how a kubelet dies.
type KillOption string

// Noticed leaves the node as kube-controller-manager does when it notices, which takes it 50 s: Ready is Unknown, the pods
// are not ready, and the lease is old. It then adds the taints itself.
const Noticed KillOption = "Noticed"

// KillKubelet ends the simulated kubelet of a node. When it returns, nobody renews the node's lease, writes its status or
// touches its pods: one that is deleted stays Terminating, one that comes stays Pending.
func (s *Sandbox) KillKubelet(ctx context.Context, node string, options ...KillOption) error {
	if err := s.switchKubelet(ctx, node, kubeletDead); err != nil {
		return err
	}
	if slices.Contains(options, Noticed) {
		return s.notice(ctx, node)
	}
	return nil
}

// ReviveKubelet starts the simulated kubelet of a node again: it makes the node Ready and catches up with its pods.
func (s *Sandbox) ReviveKubelet(ctx context.Context, node string) error {
	if err := s.switchKubelet(ctx, node, kubeletAlive); err != nil {
		return err
	}
	// kwok makes a pod ready when it starts, and never again.
	return s.eachPod(ctx, node, func(pod *corev1.Pod) error {
		if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil || readyReason(pod) == reasonPluginNotReady {
			return nil
		}
		return s.patchReady(ctx, pod, corev1.ConditionTrue, "Sandbox")
	})
}

// switchKubelet returns once kwok has seen it. Were it not waited for, kwok could still touch a pod that changes right after.
func (s *Sandbox) switchKubelet(ctx context.Context, node, state string) error {
	if s.kwokAddress == "" {
		return errors.New("there are no kubelets in a sandbox without kwok")
	}
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, LabelKubelet, state)
	if err := s.Client.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return fmt.Errorf("labelling node %s: %w", node, err)
	}
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, kubeletSwitch, true, func(ctx context.Context) (bool, error) {
		alive, err := s.liveKubelets(ctx)
		return slices.Contains(alive, node) == (state == kubeletAlive), err
	})
	if err != nil {
		return fmt.Errorf("waiting for kwok to see that the kubelet of %s is %s: %w", node, state, err)
	}
	return nil
}

// liveKubelets asks kwok for the nodes that it simulates.
func (s *Sandbox) liveKubelets(ctx context.Context) ([]string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.kwokAddress+"/discovery/prometheus", nil)
	if err != nil {
		return nil, fmt.Errorf("asking kwok for its nodes: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking kwok for its nodes: %w", err)
	}
	defer response.Body.Close()
	var targets []struct {
		Labels map[string]string `json:"labels"`
	}
	if err := json.NewDecoder(response.Body).Decode(&targets); err != nil {
		return nil, fmt.Errorf("reading kwok's nodes: %w", err)
	}
	nodes := make([]string, 0, len(targets))
	for _, target := range targets {
		nodes = append(nodes, strings.TrimPrefix(target.Labels["__metrics_path__"], kwokNodePath))
	}
	return nodes, nil
}

// notice writes what kube-controller-manager writes about a node whose kubelet has been silent. It does not take it back:
// it only ever makes a node less ready.
func (s *Sandbox) notice(ctx context.Context, name string) error {
	now := clock.RealClock{}.Now()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name}}
	renewed := metav1.NewMicroTime(now.Add(-noticedAfter)).UTC().Format(metav1.RFC3339Micro)
	patch := fmt.Sprintf(`{"spec":{"renewTime":%q}}`, renewed)
	if err := s.Client.Patch(ctx, lease, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return fmt.Errorf("ageing the lease of node %s: %w", name, err)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := s.patchReady(ctx, node, corev1.ConditionUnknown, "NodeStatusUnknown"); err != nil {
		return err
	}
	return s.eachPod(ctx, name, func(pod *corev1.Pod) error {
		return s.patchReady(ctx, pod, corev1.ConditionFalse, "NodeNotReady")
	})
}

// eachPod does something with every pod of a node that is still there.
func (s *Sandbox) eachPod(ctx context.Context, node string, do func(*corev1.Pod) error) error {
	var pods corev1.PodList
	if err := s.Client.List(ctx, &pods, client.MatchingFields{"spec.nodeName": node}); err != nil {
		return fmt.Errorf("listing the pods of node %s: %w", node, err)
	}
	for i := range pods.Items {
		if err := do(&pods.Items[i]); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// patchReady writes the Ready condition of a node or a pod.
func (s *Sandbox) patchReady(ctx context.Context, object client.Object, status corev1.ConditionStatus, reason string) error {
	now := clock.RealClock{}.Now().UTC().Format(time.RFC3339)
	patch := fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":%q,"reason":%q,"lastTransitionTime":%q}]}}`, status, reason, now)
	if err := s.Client.Status().Patch(ctx, object, client.RawPatch(types.StrategicMergePatchType, []byte(patch))); err != nil {
		return fmt.Errorf("writing the Ready condition of %s: %w", object.GetName(), err)
	}
	return nil
}

func readyReason(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Reason
		}
	}
	return ""
}
