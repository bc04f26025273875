// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/test/utils/ktesting"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

const (
	className = "replicated"
	// attachLimit is how many volumes a node may have attached, as upstream's scenarios have it.
	attachLimit = 39
	// writers is how many requests the set-up makes at once.
	writers = 16
	// heartbeat is how often the storage system confirms what it publishes.
	heartbeat = 20 * time.Second
)

// objects makes what is in the cluster besides the nodes and the pods.
type objects struct {
	shape  shape
	client client.Client
}

func newObjects(tCtx ktesting.TContext, s shape) (*objects, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), storagev1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	// Custom resources have no protobuf, which scheduler_perf's own clients speak.
	config := rest.CopyConfig(tCtx.RESTConfig())
	config.ContentType, config.AcceptContentTypes = "", ""
	apiClient, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return &objects{shape: s, client: apiClient}, nil
}

// each calls create for 0 to count-1, several at once.
func each(ctx context.Context, count int, create func(i int) error) error {
	var mu sync.Mutex
	var first error
	workqueue.ParallelizeUntil(ctx, writers, count, func(i int) {
		if err := create(i); err != nil {
			mu.Lock()
			defer mu.Unlock()
			if first == nil {
				first = err
			}
		}
	})
	return errors.Join(first, ctx.Err())
}

// makeStorage has the CSI driver on every node, a class, room for everything, and a storage system that confirms what it
// publishes. One report does that for all of it.
func (o *objects) makeStorage(tCtx ktesting.TContext) error {
	waits, expand := storagev1.VolumeBindingWaitForFirstConsumer, true
	room := resource.MustParse("1Pi")
	for _, object := range []client.Object{
		&storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: provisioner}, Spec: storagev1.CSIDriverSpec{StorageCapacity: &expand}},
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: className}, Provisioner: provisioner, VolumeBindingMode: &waits},
		&storagev1.CSIStorageCapacity{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "everywhere"}, StorageClassName: className,
			NodeTopology: &metav1.LabelSelector{}, Capacity: &room,
		},
	} {
		if err := o.client.Create(tCtx, object); err != nil {
			return fmt.Errorf("making the storage: %w", err)
		}
	}
	limit := int32(attachLimit)
	err := each(tCtx, o.shape.nodes, func(i int) error {
		return o.client.Create(tCtx, &storagev1.CSINode{
			ObjectMeta: metav1.ObjectMeta{Name: nodeName(i)},
			Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{
				Name: provisioner, NodeID: nodeName(i), Allocatable: &storagev1.VolumeNodeResources{Count: &limit},
			}}},
		})
	})
	if err != nil {
		return fmt.Errorf("registering the CSI driver: %w", err)
	}
	return o.report(tCtx)
}

func (o *objects) report(tCtx ktesting.TContext) error {
	report := &storagev1alpha1.StorageReport{
		ObjectMeta: metav1.ObjectMeta{Name: "report"},
		Spec:       storagev1alpha1.StorageReportSpec{Provisioner: provisioner, NodeName: nodeName(0)},
	}
	if err := o.client.Create(tCtx, report); err != nil {
		return fmt.Errorf("making a report: %w", err)
	}
	beat := func() error {
		report.Status = storagev1alpha1.StorageReportStatus{State: storagev1alpha1.StorageOnline, HeartbeatTime: metav1.NowMicro()}
		return o.client.Status().Update(tCtx, report)
	}
	if err := beat(); err != nil {
		return fmt.Errorf("confirming a report: %w", err)
	}
	go func() {
		ticker := time.NewTicker(heartbeat)
		defer ticker.Stop()
		for {
			select {
			case <-tCtx.Done():
				return
			case <-ticker.C:
				if err := beat(); err != nil && tCtx.Err() == nil {
					klog.FromContext(tCtx).Error(err, "Confirming a report")
				}
			}
		}
	}()
	return nil
}

// fillNodes leaves no room on the data nodes and in their racks.
func (o *objects) fillNodes(tCtx ktesting.TContext) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "fillers"}}
	if err := o.client.Create(tCtx, namespace); err != nil {
		return fmt.Errorf("filling nodes: %w", err)
	}
	return each(tCtx, o.shape.fillers(), func(i int) error {
		return o.client.Create(tCtx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: fmt.Sprintf("filler-%d", i)},
			Spec: corev1.PodSpec{NodeName: nodeName(i), Containers: []corev1.Container{{
				Name: "pause", Image: "registry.k8s.io/pause:3.10.2",
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4")}},
			}}},
		})
	})
}
