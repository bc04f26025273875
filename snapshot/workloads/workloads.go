// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const scaleSubresource = "scale"

// Workloads finds and scales workloads.
type Workloads struct {
	client client.Client
}

// New returns one that reads the API server itself, and writes, with the client.
func New(c client.Client) (*Workloads, error) {
	if c == nil {
		return nil, errors.New("workloads: a client is required")
	}
	return &Workloads{client: c}, nil
}

// reference names an object of a namespace.
type reference struct {
	apiVersion, kind, name string
	uid                    types.UID
}

func (r reference) String() string { return r.kind + " " + r.name }

func (r reference) group() string {
	gv, err := schema.ParseGroupVersion(r.apiVersion)
	if err != nil {
		return r.apiVersion
	}
	return gv.Group
}

// is says whether the object is of a kind of Kubernetes itself.
func (r reference) is(group string, kinds ...string) bool {
	if r.group() != group {
		return false
	}
	for _, kind := range kinds {
		if r.kind == kind {
			return true
		}
	}
	return false
}

// read reads the object that is referred to.
func (w *Workloads) read(ctx context.Context, namespace string, r reference) (client.Object, error) {
	object := r.object()
	if err := w.client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: r.name}, object); err != nil {
		return nil, fmt.Errorf("reading %s: %w", r, err)
	}
	return object, nil
}

// object is typed where the kind is one that Kubernetes scales itself.
func (r reference) object() client.Object {
	switch {
	case r.is(appsv1.GroupName, "Deployment"):
		return &appsv1.Deployment{}
	case r.is(appsv1.GroupName, "StatefulSet"):
		return &appsv1.StatefulSet{}
	case r.is(appsv1.GroupName, "ReplicaSet"):
		return &appsv1.ReplicaSet{}
	case r.is(corev1.GroupName, "ReplicationController"):
		return &corev1.ReplicationController{}
	}
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(r.apiVersion)
	object.SetKind(r.kind)
	return object
}

// replicas reads how many replicas the object shall have.
func (w *Workloads) replicas(ctx context.Context, object client.Object) (int32, error) {
	scale := scaleOf(object)
	if err := w.client.SubResource(scaleSubresource).Get(ctx, object, scale); err != nil {
		return 0, err
	}
	if typed, ok := scale.(*autoscalingv1.Scale); ok {
		return typed.Spec.Replicas, nil
	}
	replicas, _, err := unstructured.NestedInt64(scale.(*unstructured.Unstructured).Object, "spec", "replicas")
	return int32(replicas), err
}

// setReplicas scales the object as it was read: if it is another one by now, or has changed, that is a conflict.
func (w *Workloads) setReplicas(ctx context.Context, object client.Object, replicas int32) error {
	scale := scaleOf(object)
	scale.SetNamespace(object.GetNamespace())
	scale.SetName(object.GetName())
	scale.SetUID(object.GetUID())
	scale.SetResourceVersion(object.GetResourceVersion())
	switch scale := scale.(type) {
	case *autoscalingv1.Scale:
		scale.Spec.Replicas = replicas
	case *unstructured.Unstructured:
		if err := unstructured.SetNestedField(scale.Object, int64(replicas), "spec", "replicas"); err != nil {
			return err
		}
	}
	return w.client.SubResource(scaleSubresource).Update(ctx, object, client.WithSubResourceBody(scale))
}

func scaleOf(object client.Object) client.Object {
	if _, ok := object.(*unstructured.Unstructured); !ok {
		return &autoscalingv1.Scale{}
	}
	scale := &unstructured.Unstructured{}
	scale.SetGroupVersionKind(autoscalingv1.SchemeGroupVersion.WithKind("Scale"))
	return scale
}
