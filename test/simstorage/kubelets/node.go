// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
)

// syncNode makes the model and the node's status like what runs on the node, or may still do so. The queue has each node
// with one worker at a time.
func (k *Kubelets) syncNode(ctx context.Context, name string) error {
	node, err := k.nodes.Get(name)
	if apierrors.IsNotFound(err) {
		k.forget(name)
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking up node %s: %w", name, err)
	}
	seen, ok := k.cluster.Node(name)
	if !ok {
		return fmt.Errorf("the storage system does not know node %s yet", name)
	}
	m := k.machine(node)
	running, admitErr := k.admit(m, name)
	can := kubelet{alive: node.Annotations[kwokAnnotation] == kwokNode && node.Labels[Label] != Dead}
	can.confirms = can.alive && !seen.CutOff
	m.letGo(func(uid types.UID) bool { return running[uid] }, can, func(handle string) bool {
		v, err := k.cluster.Volume(handle)
		return err != nil || slices.Contains(v.Fenced, name)
	})
	k.tell(ctx, m, name)
	if !can.alive {
		return admitErr
	}
	return errors.Join(admitErr, k.writeInUse(ctx, node, m))
}

// machine returns what is remembered of a node. Nothing of a node that was made anew runs on it.
func (k *Kubelets) machine(node *corev1.Node) *machine {
	k.mu.Lock()
	defer k.mu.Unlock()
	m, ok := k.machines[node.Name]
	if ok && m.uid == node.UID {
		return m
	}
	if ok {
		k.unpublishAll(m, node.Name)
	}
	m = newMachine(node.UID)
	k.machines[node.Name] = m
	return m
}

// forget ends everything on a node that is gone.
func (k *Kubelets) forget(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m, ok := k.machines[name]; ok {
		k.unpublishAll(m, name)
		delete(k.machines, name)
	}
}

func (k *Kubelets) unpublishAll(m *machine, name string) {
	for handle := range m.told {
		k.cluster.UnpublishVolume(handle, name)
	}
}

// admit remembers the pods that run on a node, and returns their UIDs. A pod whose volumes are not known yet is not
// remembered, and makes it fail.
func (k *Kubelets) admit(m *machine, name string) (map[types.UID]bool, error) {
	objects, err := k.pods.ByIndex(byNode, name)
	if err != nil {
		return nil, fmt.Errorf("listing the pods of node %s: %w", name, err)
	}
	running := make(map[types.UID]bool, len(objects))
	var errs []error
	for _, object := range objects {
		pod, ok := object.(*corev1.Pod)
		if !ok || pod.Status.Phase != corev1.PodRunning {
			continue
		}
		running[pod.UID] = true
		t, known := m.tenants[pod.UID]
		if !known {
			mounts, err := k.mounts(pod)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			t = &tenant{mounts: mounts, published: true, inUse: true}
			m.tenants[pod.UID] = t
		}
		t.hangs = pod.Annotations[HangsAnnotation] == "true"
	}
	return running, errors.Join(errs...)
}

// tell tells the model what is published. It does so again each time, as the model forgets a node that goes.
func (k *Kubelets) tell(ctx context.Context, m *machine, name string) {
	wanted := m.published(func(handle string) bool {
		v, err := k.cluster.Volume(handle)
		return err == nil && slices.Contains(v.Attached, name)
	})
	for handle := range m.told {
		if _, ok := wanted[handle]; !ok {
			k.cluster.UnpublishVolume(handle, name)
			delete(m.told, handle)
		}
	}
	for _, handle := range slices.Sorted(maps.Keys(wanted)) {
		if err := k.cluster.PublishVolume(wanted[handle]); err != nil {
			klog.FromContext(ctx).V(2).Info("Published is what the storage system does not know any more", "node", name, "volume", handle, "err", err)
		}
		m.told[handle] = true
	}
}
