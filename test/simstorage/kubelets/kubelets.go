// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelets

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"roost.dev/roost/test/simstorage/cluster"
)

const (
	// Label says, with the value Dead, that a node's kubelet does nothing any more.
	Label = "sim.roost.dev/kubelet"
	// Dead is the value of Label for a kubelet that is dead.
	Dead = "dead"
	// HangsAnnotation marks, with the value true, a pod whose process hangs in I/O.
	HangsAnnotation = "sim.roost.dev/hangs"

	// kwokAnnotation marks, with the value kwokNode, the nodes whose kubelet kwok plays.
	kwokAnnotation = "kwok.x-k8s.io/node"
	kwokNode       = "fake"

	workers   = 4
	retryBase = 50 * time.Millisecond
	retryMax  = 5 * time.Second

	byNode = "node"
)

// subject is a node to look at, or a volume whose nodes are to be looked at.
type subject struct {
	node, handle string
}

// Kubelets are what simstorage sees of all nodes' kubelets.
type Kubelets struct {
	client  kubernetes.Interface
	cluster *cluster.Cluster
	factory informers.SharedInformerFactory
	pods    cache.Indexer
	nodes   corelisters.NodeLister
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	queue   workqueue.TypedRateLimitingInterface[subject]

	mu       sync.Mutex
	machines map[string]*machine
}

// New returns kubelets that do not run yet.
func New(client kubernetes.Interface, c *cluster.Cluster) (*Kubelets, error) {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(trim))
	core := factory.Core().V1()
	k := &Kubelets{
		client: client, cluster: c, factory: factory,
		pods:     core.Pods().Informer().GetIndexer(),
		nodes:    core.Nodes().Lister(),
		claims:   core.PersistentVolumeClaims().Lister(),
		volumes:  core.PersistentVolumes().Lister(),
		machines: map[string]*machine{},
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[subject](retryBase, retryMax)),
	}
	if err := core.Pods().Informer().AddIndexers(cache.Indexers{byNode: nodeOfPod}); err != nil {
		return nil, fmt.Errorf("indexing pods: %w", err)
	}
	if err := k.watch(core.Pods().Informer(), podNode); err != nil {
		return nil, fmt.Errorf("watching pods: %w", err)
	}
	if err := k.watch(core.Nodes().Informer(), nodeName); err != nil {
		return nil, fmt.Errorf("watching nodes: %w", err)
	}
	c.Subscribe(func(e cluster.Event) {
		switch e.Kind {
		case cluster.NodeChanged:
			k.queue.Add(subject{node: e.ID})
		case cluster.VolumeChanged:
			k.queue.Add(subject{handle: e.ID})
		default:
		}
	})
	return k, nil
}

// watch queues the node that an object concerns when the object comes, changes in what is read of it, or goes.
func (k *Kubelets) watch(informer cache.SharedIndexInformer, nodeOf func(any) string) error {
	add := func(object any) {
		if name := nodeOf(object); name != "" {
			k.queue.Add(subject{node: name})
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: add,
		UpdateFunc: func(before, after any) {
			if !alike(before, after) {
				add(before) // a pod of the same name may have been made anew on another node
				add(after)
			}
		},
		DeleteFunc: func(object any) {
			if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = tombstone.Obj
			}
			add(object)
		},
	})
	return err
}

// Run runs until ctx ends. The model must know all nodes by now. Kubelets run once.
func (k *Kubelets) Run(ctx context.Context) {
	k.factory.StartWithContext(ctx)
	defer k.factory.Shutdown()
	defer k.queue.ShutDown()
	for _, synced := range k.factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return
		}
	}
	klog.FromContext(ctx).Info("The pods are known", "pods", len(k.pods.ListKeys()))
	stop := context.AfterFunc(ctx, k.queue.ShutDown)
	defer stop()
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for k.next(ctx) {
			}
		})
	}
	running.Wait()
}

func (k *Kubelets) next(ctx context.Context) bool {
	s, shutdown := k.queue.Get()
	if shutdown {
		return false
	}
	defer k.queue.Done(s)
	if err := k.sync(ctx, s); err != nil {
		klog.FromContext(ctx).V(2).Info("Could not do a kubelet's part, and will try again", "node", s.node, "err", err)
		k.queue.AddRateLimited(s)
		return true
	}
	k.queue.Forget(s)
	return true
}

func (k *Kubelets) sync(ctx context.Context, s subject) error {
	if s.node != "" {
		return k.syncNode(ctx, s.node)
	}
	v, err := k.cluster.Volume(s.handle)
	if err != nil {
		return nil //nolint:nilerr // a volume that is deleted concerns no node
	}
	for _, name := range slices.Concat(v.Attached, v.Published) {
		k.queue.Add(subject{node: name})
	}
	return nil
}

func nodeOfPod(object any) ([]string, error) {
	if name := podNode(object); name != "" {
		return []string{name}, nil
	}
	return nil, nil
}

// podNode is the node of a pod that has a claim.
func podNode(object any) string {
	if pod, ok := object.(*corev1.Pod); ok && len(pod.Spec.Volumes) > 0 {
		return pod.Spec.NodeName
	}
	return ""
}

func nodeName(object any) string {
	if node, ok := object.(*corev1.Node); ok {
		return node.Name
	}
	return ""
}

// alike tells whether two trimmed objects differ in their versions only, as after a heartbeat.
func alike(before, after any) bool {
	switch b := before.(type) {
	case *corev1.Pod:
		a, ok := after.(*corev1.Pod)
		return ok && a.UID == b.UID && a.Spec.NodeName == b.Spec.NodeName && a.Status.Phase == b.Status.Phase &&
			a.Annotations[HangsAnnotation] == b.Annotations[HangsAnnotation]
	case *corev1.Node:
		a, ok := after.(*corev1.Node)
		return ok && a.UID == b.UID && a.Labels[Label] == b.Labels[Label] &&
			a.Annotations[kwokAnnotation] == b.Annotations[kwokAnnotation] &&
			apiequality.Semantic.DeepEqual(a.Status.VolumesInUse, b.Status.VolumesInUse)
	}
	return false
}
