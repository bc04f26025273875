// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package groupapi

import (
	"context"
	"fmt"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// Group is the API group of the kinds.
	Group = "groupsnapshot.storage.k8s.io"
	// AnnotationDefaultClass is "true" on the VolumeGroupSnapshotClass that is a CSI driver's default.
	AnnotationDefaultClass = "groupsnapshot.storage.kubernetes.io/is-default-class"

	kindSnapshot = "VolumeGroupSnapshot"
	kindContent  = "VolumeGroupSnapshotContent"
	kindClass    = "VolumeGroupSnapshotClass"
)

// versions that are known, best first.
var versions = []string{"v1", "v1beta2"}

// Client reads the API server and writes to it.
type Client struct{ client client.Client }

// New returns a client over one that reads the API server, not a cache, and has a RESTMapper.
func New(c client.Client) *Client { return &Client{client: c} }

// Get reads a VolumeGroupSnapshot.
func (c *Client) Get(ctx context.Context, key client.ObjectKey) (*groupsnapshotv1.VolumeGroupSnapshot, error) {
	group := &groupsnapshotv1.VolumeGroupSnapshot{}
	return group, c.get(ctx, kindSnapshot, key, group)
}

// Content reads a VolumeGroupSnapshotContent.
func (c *Client) Content(ctx context.Context, name string) (*groupsnapshotv1.VolumeGroupSnapshotContent, error) {
	content := &groupsnapshotv1.VolumeGroupSnapshotContent{}
	return content, c.get(ctx, kindContent, client.ObjectKey{Name: name}, content)
}

// Classes lists the VolumeGroupSnapshotClasses. That no VolumeGroupSnapshots are served is an error as well.
func (c *Client) Classes(ctx context.Context) ([]groupsnapshotv1.VolumeGroupSnapshotClass, error) {
	if _, err := c.gvk(kindSnapshot); err != nil {
		return nil, err
	}
	gvk, err := c.gvk(kindClass)
	if err != nil {
		return nil, err
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(gvk.GroupVersion().WithKind(kindClass + "List"))
	if err := c.client.List(ctx, list); err != nil {
		return nil, err
	}
	classes := make([]groupsnapshotv1.VolumeGroupSnapshotClass, len(list.Items))
	for i := range list.Items {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, &classes[i]); err != nil {
			return nil, fmt.Errorf("reading %s %s: %w", kindClass, list.Items[i].GetName(), err)
		}
	}
	return classes, nil
}

// Create writes a VolumeGroupSnapshot, and leaves in it what the API server made of it.
func (c *Client) Create(ctx context.Context, group *groupsnapshotv1.VolumeGroupSnapshot) error {
	gvk, err := c.gvk(kindSnapshot)
	if err != nil {
		return err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(group)
	if err != nil {
		return fmt.Errorf("writing %s %s: %w", kindSnapshot, group.Name, err)
	}
	object := &unstructured.Unstructured{Object: content}
	object.SetGroupVersionKind(gvk)
	unstructured.RemoveNestedField(object.Object, "status")
	if err := c.client.Create(ctx, object); err != nil {
		return err
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, group)
}

// Delete deletes the VolumeGroupSnapshot of this name and UID, and no other one.
func (c *Client) Delete(ctx context.Context, group *groupsnapshotv1.VolumeGroupSnapshot) error {
	gvk, err := c.gvk(kindSnapshot)
	if err != nil {
		return err
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gvk)
	object.SetNamespace(group.Namespace)
	object.SetName(group.Name)
	return c.client.Delete(ctx, object, client.Preconditions{UID: &group.UID})
}

func (c *Client) get(ctx context.Context, kind string, key client.ObjectKey, into any) error {
	gvk, err := c.gvk(kind)
	if err != nil {
		return err
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gvk)
	if err := c.client.Get(ctx, key, object); err != nil {
		return err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, into); err != nil {
		return fmt.Errorf("reading %s %s: %w", kind, key, err)
	}
	return nil
}

// gvk is the kind in the best version that is served. The versions are asked for one by one: a mapper that is asked for two
// may fail for the one that is missing.
func (c *Client) gvk(kind string) (schema.GroupVersionKind, error) {
	var missing error
	for _, version := range versions {
		mapping, err := c.client.RESTMapper().RESTMapping(schema.GroupKind{Group: Group, Kind: kind}, version)
		if err == nil {
			return mapping.GroupVersionKind, nil
		}
		if !meta.IsNoMatchError(err) {
			return schema.GroupVersionKind{}, fmt.Errorf("looking for the version of %s: %w", kind, err)
		}
		missing = err
	}
	return schema.GroupVersionKind{}, missing
}
