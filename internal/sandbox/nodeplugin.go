// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// NodePluginNamespace is where the pods of simstorage's node plugin are.
	NodePluginNamespace = "sim-system"
	// NodePluginName is the name of their DaemonSet, and the value of their label app.
	NodePluginName = "sim-node-plugin"

	// registrationPath is how the kubelet is told of a node plugin, and how a node plugin's pods are found.
	registrationPath = "--kubelet-registration-path=/var/lib/kubelet/plugins/" + Provisioner + "/csi.sock"
	// reasonPluginNotReady tells a node plugin that SetPluginReady made not ready from one on a dead node.
	reasonPluginNotReady = "ContainersNotReady"
	// nodePluginsReady is how long the node plugins may take to be ready; there is one on each node.
	nodePluginsReady = 5 * time.Minute
)

// StartNodePlugins runs a node plugin of simstorage on each node, as every CSI driver has one, and waits until all are ready.
// Nothing runs in their pods; simstorage serves without them.
func (s *Sandbox) StartNodePlugins(ctx context.Context) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: NodePluginNamespace}}
	set := s.nodePlugins()
	for _, object := range []client.Object{namespace, set} {
		if err := s.Client.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %T %s: %w", object, object.GetName(), err)
		}
	}
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, nodePluginsReady, true, func(ctx context.Context) (bool, error) {
		if err := s.Client.Get(ctx, client.ObjectKeyFromObject(set), set); err != nil {
			return false, fmt.Errorf("reading the node plugins: %w", err)
		}
		return set.Status.ObservedGeneration > 0 && int(set.Status.NumberReady) == s.opts.Nodes.Count, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for node plugins, %d of %d ready: %w", set.Status.NumberReady, s.opts.Nodes.Count, err)
	}
	return nil
}

func (s *Sandbox) nodePlugins() *appsv1.DaemonSet {
	labels := map[string]string{"app": NodePluginName}
	scheduler := StockSchedulerName
	if !s.opts.has(StockScheduler) {
		scheduler = SchedulerName
	}
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: NodePluginNamespace, Name: NodePluginName},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					SchedulerName: scheduler,
					Tolerations:   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
					Containers:    []corev1.Container{{Name: "node-driver-registrar", Image: "simulated", Args: []string{registrationPath}}},
				},
			},
		},
	}
}

// SetPluginReady makes the node plugin's pod on a node ready, or not. It stays so: a simulated kubelet writes a pod's Ready
// condition once, when the pod starts.
func (s *Sandbox) SetPluginReady(ctx context.Context, node string, ready bool) error {
	var pods corev1.PodList
	if err := s.Client.List(ctx, &pods, client.InNamespace(NodePluginNamespace),
		client.MatchingLabels{"app": NodePluginName}, client.MatchingFields{"spec.nodeName": node}); err != nil {
		return fmt.Errorf("listing the node plugins of node %s: %w", node, err)
	}
	if len(pods.Items) != 1 {
		return fmt.Errorf("node %s has %d node plugins, must have one", node, len(pods.Items))
	}
	status, reason := corev1.ConditionTrue, "Sandbox"
	if !ready {
		status, reason = corev1.ConditionFalse, reasonPluginNotReady
	}
	return s.patchReady(ctx, &pods.Items[0], status, reason)
}

// SetDriverRegistered adds simstorage's driver to a node's CSINode, or takes it out, as the kubelet does when the node plugin
// registers or goes. Other drivers stay.
func (s *Sandbox) SetDriverRegistered(ctx context.Context, node string, registered bool) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		var csiNode storagev1.CSINode
		if err := s.Client.Get(ctx, client.ObjectKey{Name: node}, &csiNode); err != nil {
			return err
		}
		drivers := slices.DeleteFunc(csiNode.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return d.Name == Provisioner })
		if registered {
			drivers = append(drivers, s.opts.Nodes.csiDriver(node))
		}
		csiNode.Spec.Drivers = drivers
		return s.Client.Update(ctx, &csiNode)
	})
	if err != nil {
		return fmt.Errorf("changing CSINode %s: %w", node, err)
	}
	return nil
}
