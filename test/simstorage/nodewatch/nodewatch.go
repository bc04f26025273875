// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package nodewatch

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"roost.dev/roost/test/simstorage/cluster"
)

// StorageLabel marks, with the value true, the nodes that have a pool.
const StorageLabel = "sim.roost.dev/storage"

// Watcher keeps the model's nodes in step with the API server's.
type Watcher struct {
	cluster  *cluster.Cluster
	factory  informers.SharedInformerFactory
	informer cache.SharedIndexInformer
	handled  cache.ResourceEventHandlerRegistration
}

// New returns a watcher that does not watch yet.
func New(client kubernetes.Interface, c *cluster.Cluster) (*Watcher, error) {
	factory := informers.NewSharedInformerFactory(client, 0)
	w := &Watcher{cluster: c, factory: factory, informer: factory.Core().V1().Nodes().Informer()}
	if err := w.informer.SetTransform(keepLabels); err != nil {
		return nil, fmt.Errorf("trimming nodes: %w", err)
	}
	var err error
	w.handled, err = w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    w.set,
		UpdateFunc: func(_, node any) { w.set(node) },
		DeleteFunc: w.remove,
	})
	if err != nil {
		return nil, fmt.Errorf("watching nodes: %w", err)
	}
	return w, nil
}

// Run watches until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	w.factory.StartWithContext(ctx)
	if cache.WaitForCacheSync(ctx.Done(), w.handled.HasSynced) {
		klog.FromContext(ctx).Info("The nodes are known", "nodes", len(w.cluster.Nodes()))
	}
	<-ctx.Done()
	w.factory.Shutdown()
}

// HasSynced tells whether the model has had all nodes that there were at the start.
func (w *Watcher) HasSynced() bool { return w.handled.HasSynced() }

func (w *Watcher) set(object any) {
	if node, ok := object.(*corev1.Node); ok {
		w.cluster.SetNode(node.Name, node.Labels, isStorageNode(node))
	}
}

func (w *Watcher) remove(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	if node, ok := object.(*corev1.Node); ok {
		w.cluster.RemoveNode(node.Name)
	}
}

func isStorageNode(node *corev1.Node) bool {
	return node.Labels[StorageLabel] == "true" && node.Labels[corev1.LabelHostname] != ""
}

// keepLabels drops what is not read, which is nearly all of a Node.
func keepLabels(object any) (any, error) {
	node, ok := object.(*corev1.Node)
	if !ok {
		return object, nil
	}
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: node.Name, UID: node.UID, ResourceVersion: node.ResourceVersion, Labels: node.Labels,
	}}, nil
}
