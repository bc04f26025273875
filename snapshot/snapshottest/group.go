// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshottest

import (
	"context"
	"fmt"
	"slices"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"roost.dev/roost/snapshot/groupapi"
)

// GroupObject returns an empty object of a kind of VolumeGroupSnapshots.
func GroupObject(version, kind, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: groupapi.Group, Version: version, Kind: kind})
	object.SetName(name)
	return object
}

func (c *Controller) playGroups(ctx context.Context) error {
	kind := schema.GroupKind{Group: groupapi.Group, Kind: "VolumeGroupSnapshot"}
	mapping, err := c.API.RESTMapper().RESTMapping(kind, "v1")
	if meta.IsNoMatchError(err) {
		mapping, err = c.API.RESTMapper().RESTMapping(kind, "v1beta2")
	}
	if meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return err
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(mapping.GroupVersionKind.GroupVersion().WithKind("VolumeGroupSnapshotList"))
	if err := c.API.List(ctx, list); err != nil {
		return err
	}
	for i := range list.Items {
		if err := c.playGroup(ctx, &list.Items[i]); err != nil {
			return fmt.Errorf("playing VolumeGroupSnapshot %s: %w", list.Items[i].GetName(), err)
		}
	}
	return nil
}

func (c *Controller) playGroup(ctx context.Context, group *unstructured.Unstructured) error {
	script, age := c.script(""), c.age(group.GetUID())
	if group.GetDeletionTimestamp() != nil || script.Vanish > 0 && age >= script.Vanish {
		return c.removeGroup(ctx, group)
	}
	if age < script.Bind {
		return nil
	}
	content, err := c.bindGroup(ctx, group)
	if err != nil {
		return err
	}
	return c.enterGroup(ctx, group, content, script)
}

// enterGroup writes the status of a group, and those of its parts.
func (c *Controller) enterGroup(ctx context.Context, group *unstructured.Unstructured, content string, script Script) error {
	before, age := group.DeepCopy(), c.age(group.GetUID())
	controllerutil.AddFinalizer(group, finalizerGroup)
	isCut := age >= script.Cut
	status := map[string]any{"boundVolumeGroupSnapshotContentName": content, "readyToUse": isCut && age >= script.Ready}
	if script.Error != "" && (age < script.Ready || !isCut) {
		status["error"] = map[string]any{"message": script.Error}
	}
	if isCut {
		status["creationTime"] = c.seen[group.GetUID()].Add(script.Cut + script.ClockAhead).UTC().Format(time.RFC3339)
		if err := c.playParts(ctx, group, script); err != nil {
			return err
		}
	}
	if err := unstructured.SetNestedField(group.Object, status, "status"); err != nil {
		return err
	}
	if apiequality.Semantic.DeepEqual(before.Object, group.Object) {
		return nil
	}
	return c.API.Update(ctx, group)
}

// bindGroup makes the content that a group is bound to, and returns its name.
func (c *Controller) bindGroup(ctx context.Context, group *unstructured.Unstructured) (string, error) {
	content := GroupObject(group.GroupVersionKind().Version, "VolumeGroupSnapshotContent", "groupsnapcontent-"+string(group.GetUID()))
	reference := map[string]any{"name": group.GetName(), "namespace": group.GetNamespace(), "uid": string(group.GetUID())}
	if err := unstructured.SetNestedField(content.Object, reference, "spec", "volumeGroupSnapshotRef"); err != nil {
		return "", err
	}
	err := c.API.Create(ctx, content)
	if apierrors.IsAlreadyExists(err) {
		err = nil
	}
	return content.GetName(), err
}

// playParts makes the VolumeSnapshots of a group: of the claims that matchLabels select, and of no fewer.
func (c *Controller) playParts(ctx context.Context, group *unstructured.Unstructured, script Script) error {
	selector, _, err := unstructured.NestedStringMap(group.Object, "spec", "source", "selector", "matchLabels")
	if err != nil {
		return err
	}
	// The volumes are settled once.
	if !c.cut[group.GetUID()] {
		var claims corev1.PersistentVolumeClaimList
		if err := c.API.List(ctx, &claims, client.InNamespace(group.GetNamespace()), client.MatchingLabels(selector)); err != nil {
			return err
		}
		for i := range claims.Items {
			if slices.Contains(script.Omit, claims.Items[i].Name) {
				continue
			}
			if err := c.makePart(ctx, group, claims.Items[i].Name, script); err != nil {
				return err
			}
		}
		c.cut[group.GetUID()] = true
	}
	parts, err := c.parts(ctx, group)
	if err != nil {
		return err
	}
	for _, part := range parts {
		content := &snapshotv1.VolumeSnapshotContent{}
		if err := c.API.Get(ctx, client.ObjectKey{Name: "snapcontent-" + string(part.UID)}, content); err != nil {
			return err
		}
		// A part is as old as its group.
		c.seen[part.UID] = c.seen[group.GetUID()]
		if err := c.enter(ctx, part, content, script); err != nil {
			return err
		}
	}
	return nil
}

func (c *Controller) makePart(ctx context.Context, group *unstructured.Unstructured, claim string, script Script) error {
	part := &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{
		Namespace: group.GetNamespace(), Name: "snapshot-" + string(group.GetUID()) + "-" + claim, Finalizers: []string{finalizerGroup},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: group.GetAPIVersion(), Kind: group.GetKind(), Name: group.GetName(), UID: group.GetUID()}},
	}}
	part.Spec.Source.PersistentVolumeClaimName = &claim
	if err := c.API.Create(ctx, part); err != nil {
		return err
	}
	if _, err := c.content(ctx, part, script); err != nil || !script.Nameless {
		return err
	}
	part.Spec.Source.PersistentVolumeClaimName = new(string)
	return c.API.Update(ctx, part)
}

func (c *Controller) parts(ctx context.Context, group *unstructured.Unstructured) ([]*snapshotv1.VolumeSnapshot, error) {
	var list snapshotv1.VolumeSnapshotList
	if err := c.API.List(ctx, &list, client.InNamespace(group.GetNamespace())); err != nil {
		return nil, err
	}
	var parts []*snapshotv1.VolumeSnapshot
	for i := range list.Items {
		if owners := list.Items[i].OwnerReferences; len(owners) == 1 && owners[0].UID == group.GetUID() {
			parts = append(parts, &list.Items[i])
		}
	}
	return parts, nil
}

// removeGroup ends a group, its parts first.
func (c *Controller) removeGroup(ctx context.Context, group *unstructured.Unstructured) error {
	parts, err := c.parts(ctx, group)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if err := c.remove(ctx, part); err != nil {
			return err
		}
	}
	content := GroupObject(group.GroupVersionKind().Version, "VolumeGroupSnapshotContent", "groupsnapcontent-"+string(group.GetUID()))
	if err := client.IgnoreNotFound(c.API.Delete(ctx, content)); err != nil {
		return err
	}
	return c.drop(ctx, group)
}
