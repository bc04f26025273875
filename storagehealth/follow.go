// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/mirror"
	"roost.dev/roost/internal/podvolumes"
	"roost.dev/roost/storagehealth/failover"
	"roost.dev/roost/storagehealth/verdict"
)

// recount is how long after a pod came or went its healthy node's volumes are counted again, many pods at once.
const recount = 10 * time.Second

// byProvisioner is the index of PersistentVolumes by the CSI driver's name.
const byProvisioner = "provisioner"

// followed is an informer that must have synced, and what its events do.
type followed struct {
	informer cache.SharedIndexInformer
	handler  cache.ResourceEventHandler
}

func (c *Controller) followCluster(factory informers.SharedInformerFactory) error {
	volumes := factory.Core().V1().PersistentVolumes().Informer()
	err := volumes.AddIndexers(cache.Indexers{byProvisioner: func(object any) ([]string, error) {
		if pv, ok := object.(*corev1.PersistentVolume); ok && pv.Spec.CSI != nil {
			return []string{pv.Spec.CSI.Driver}, nil
		}
		return nil, nil
	}})
	if err != nil {
		return fmt.Errorf("indexing PersistentVolumes by provisioner: %w", err)
	}
	c.volumes = volumes.GetIndexer()
	c.followed = []followed{
		{volumes, onAdd(c.volumeAdded)},
		{factory.Core().V1().Pods().Informer(), cache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { c.podChanged(object.(*corev1.Pod)) },
			UpdateFunc: func(_, object any) { c.podChanged(object.(*corev1.Pod)) },
			DeleteFunc: func(object any) { c.podGone(last[*corev1.Pod](object)) },
		}},
		{factory.Core().V1().Nodes().Informer(), onEvery(c.nodeChanged)},
		{factory.Storage().V1().CSINodes().Informer(), onEvery(c.csiNodeChanged)},
		{factory.Storage().V1().CSIDrivers().Informer(), onEvery(c.csiDriverChanged)},
		{factory.Storage().V1().VolumeAttachments().Informer(), onDelete(c.attachmentDeleted)},
		{factory.Core().V1().PersistentVolumeClaims().Informer(), nil},
		{factory.Storage().V1().StorageClasses().Informer(), nil},
	}
	return nil
}

func (c *Controller) newMirror(o Options) *mirror.Mirror[*storagev1alpha1.StorageNode] {
	return mirror.New(mirror.Options[*storagev1alpha1.StorageNode]{
		Kind:      "StorageNodes",
		Client:    o.StorageNodes,
		Clock:     o.Clock,
		NewObject: func() *storagev1alpha1.StorageNode { return &storagev1alpha1.StorageNode{} },
		NewList:   func() client.ObjectList { return &storagev1alpha1.StorageNodeList{} },
		Put:       func(_ klog.Logger, object *storagev1alpha1.StorageNode) { c.storageNodeChanged(object) },
		Remove:    c.storageNodeRemoved,
		Names:     c.inventory.names,
	})
}

func (c *Controller) storageNodeChanged(object *storagev1alpha1.StorageNode) {
	if !c.inventory.put(object) {
		return
	}
	key := keyOf(object)
	c.board.Track(key, object.Spec.Maintenance, object.Status)
	c.queue.Add(key)
}

func (c *Controller) storageNodeRemoved(name string) {
	if key, counted := c.inventory.remove(name); counted {
		c.queue.Add(key)
	}
}

// follow hears of everything that a StorageNode depends on, until stop.
func (c *Controller) follow() (stop func(), err error) {
	var undo []func()
	stop = func() {
		for _, f := range undo {
			f()
		}
	}
	for _, f := range c.followed {
		if f.handler == nil {
			continue
		}
		registration, err := f.informer.AddEventHandler(f.handler)
		if err != nil {
			stop()
			return nil, fmt.Errorf("following the cluster: %w", err)
		}
		undo = append(undo, func() { _ = f.informer.RemoveEventHandler(registration) }) // fails only for a foreign handle
	}
	return stop, nil
}

// volumeAdded has StorageNodes made for a driver with its first volume. By then the index may have more than that one.
func (c *Controller) volumeAdded(pv *corev1.PersistentVolume, first bool) {
	if first || pv.Spec.CSI == nil || c.seen.Has(pv.Spec.CSI.Driver) {
		return // CSINodes tell at the start
	}
	csiNodes, err := c.csiNodes.List(labels.Everything())
	if err != nil {
		return
	}
	c.seen.Insert(pv.Spec.CSI.Driver)
	for _, csiNode := range csiNodes {
		c.csiNodeChanged(csiNode)
	}
}

func (c *Controller) csiNodeChanged(csiNode *storagev1.CSINode) {
	used := c.volumes.ListIndexFuncValues(byProvisioner)
	for i := range csiNode.Spec.Drivers {
		if name := csiNode.Spec.Drivers[i].Name; slices.Contains(used, name) {
			c.queue.Add(verdict.Key{Provisioner: name, Node: csiNode.Name})
		}
	}
}

// podChanged has what the node of a pod with claims is about counted again: at once where pods are being moved away.
func (c *Controller) podChanged(pod *corev1.Pod) {
	if pod.Spec.NodeName == "" || !podvolumes.HasClaims(pod) {
		return
	}
	for _, key := range c.inventory.on(pod.Spec.NodeName) {
		if v, ok := c.board.Verdict(key); ok && v.Failed() {
			c.queue.Add(key)
		} else {
			c.queue.AddAfter(key, recount)
		}
	}
}

func (c *Controller) podGone(pod *corev1.Pod) {
	c.told.forget(pod.UID)
	c.mover.Forget(pod.UID)
	c.podChanged(pod)
}

// nodeChanged matters where pods are being moved away, or our taint is on the node.
func (c *Controller) nodeChanged(node *corev1.Node) {
	if failover.HasOurTaint(node) {
		c.queue.Add(verdict.Key{Node: node.Name})
	}
	c.lookAgain(node.Name)
}

func (c *Controller) csiDriverChanged(driver *storagev1.CSIDriver) {
	for _, key := range c.inventory.keys() {
		if v, ok := c.board.Verdict(key); key.Provisioner == driver.Name && ok && v.Failed() {
			c.queue.Add(key)
		}
	}
}

func (c *Controller) attachmentDeleted(attachment *storagev1.VolumeAttachment) {
	c.lookAgain(attachment.Spec.NodeName)
}

// lookAgain has a node looked at whose pods are being moved away.
func (c *Controller) lookAgain(node string) {
	for _, key := range c.inventory.on(node) {
		if v, ok := c.board.Verdict(key); ok && v.Failed() {
			c.queue.Add(key)
		}
	}
}

func (c *Controller) wanted(key verdict.Key) bool {
	csiNode, err := c.csiNodes.Get(key.Node)
	if err != nil || !slices.Contains(c.volumes.ListIndexFuncValues(byProvisioner), key.Provisioner) {
		return false
	}
	return slices.ContainsFunc(csiNode.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return d.Name == key.Provisioner })
}
