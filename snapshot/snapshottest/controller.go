// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshottest

import (
	"context"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// Never is later than any test.
const Never = 1000000 * time.Hour

const (
	finalizerBound = "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection"
	finalizerGroup = "snapshot.storage.kubernetes.io/volumesnapshot-in-group-protection"
)

// Script is what becomes of a snapshot. All times are since its creation.
type Script struct {
	Bind, Cut, Ready time.Duration
	// Error stands from the bind on until the snapshot is ready, and beyond where ErrorStays.
	Error      string
	ErrorStays bool
	// Vanish removes it, finalizers or not. 0 is never.
	Vanish time.Duration
	// Unready says that it is not ready any more. 0 is never.
	Unready time.Duration
	// ClockAhead is by how much the storage system's clock is.
	ClockAhead  time.Duration
	RestoreSize *resource.Quantity
	// ForeignContent binds it to a content that is bound to another one.
	ForeignContent bool
	// Omit leaves these claims out of a group.
	Omit []string
	// Nameless leaves the names of the claims out of a group's parts.
	Nameless bool
}

// Controller is a snapshot-controller with a CSI driver.
type Controller struct {
	API    client.Client
	Clock  clock.PassiveClock
	Driver string
	// Scripts are by claim, that of a VolumeGroupSnapshot under "". Default is for the others.
	Scripts map[string]Script
	Default Script
	// Cuts are the claims in the order in which they were cut, and when.
	Cuts []Cut

	seen map[types.UID]time.Time
	cut  map[types.UID]bool
}

// Cut is a cut.
type Cut struct {
	Claim string
	At    time.Time
}

// Play brings all snapshots to where their scripts have them now.
func (c *Controller) Play(ctx context.Context) error {
	if err := c.playGroups(ctx); err != nil {
		return err
	}
	var list snapshotv1.VolumeSnapshotList
	if err := c.API.List(ctx, &list); err != nil {
		return err
	}
	for i := range list.Items {
		if len(list.Items[i].Finalizers) > 0 && controllerutil.ContainsFinalizer(&list.Items[i], finalizerGroup) {
			continue
		}
		if err := c.play(ctx, &list.Items[i]); err != nil {
			return fmt.Errorf("playing VolumeSnapshot %s: %w", list.Items[i].Name, err)
		}
	}
	return nil
}

func (c *Controller) script(claim string) Script {
	if script, ok := c.Scripts[claim]; ok {
		return script
	}
	return c.Default
}

// age is how long ago an object was first seen.
func (c *Controller) age(uid types.UID) time.Duration {
	if c.seen == nil {
		c.seen, c.cut = map[types.UID]time.Time{}, map[types.UID]bool{}
	}
	if _, ok := c.seen[uid]; !ok {
		c.seen[uid] = c.Clock.Now()
	}
	return c.Clock.Since(c.seen[uid])
}

func (c *Controller) play(ctx context.Context, object *snapshotv1.VolumeSnapshot) error {
	script, age := c.script(*object.Spec.Source.PersistentVolumeClaimName), c.age(object.UID)
	if object.DeletionTimestamp != nil || script.Vanish > 0 && age >= script.Vanish {
		return c.remove(ctx, object)
	}
	if age < script.Bind {
		return nil
	}
	if controllerutil.AddFinalizer(object, finalizerBound) {
		if err := c.API.Update(ctx, object); err != nil {
			return err
		}
	}
	content, err := c.content(ctx, object, script)
	if err != nil {
		return err
	}
	return c.enter(ctx, object, content, script)
}

// content makes the content that a snapshot is bound to, or reads it.
func (c *Controller) content(ctx context.Context, object *snapshotv1.VolumeSnapshot, script Script) (*snapshotv1.VolumeSnapshotContent, error) {
	content := &snapshotv1.VolumeSnapshotContent{}
	err := c.API.Get(ctx, client.ObjectKey{Name: "snapcontent-" + string(object.UID)}, content)
	if client.IgnoreNotFound(err) != nil || err == nil {
		return content, err
	}
	reference := corev1.ObjectReference{Kind: "VolumeSnapshot", Namespace: object.Namespace, Name: object.Name, UID: object.UID}
	if script.ForeignContent {
		reference.UID = "another"
	}
	content = &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "snapcontent-" + string(object.UID)},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			VolumeSnapshotRef: reference, Driver: c.Driver, DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete,
			Source: snapshotv1.VolumeSnapshotContentSource{VolumeHandle: ptr.To("handle-" + *object.Spec.Source.PersistentVolumeClaimName)},
		},
	}
	return content, c.API.Create(ctx, content)
}

// enter writes both statuses.
func (c *Controller) enter(ctx context.Context, object *snapshotv1.VolumeSnapshot, content *snapshotv1.VolumeSnapshotContent, script Script) error {
	age, cutAt := c.age(object.UID), c.seen[object.UID].Add(script.Cut)
	isCut := age >= script.Cut
	beforeObject, beforeContent := object.DeepCopy(), content.DeepCopy()
	ready := isCut && age >= script.Ready && (script.Unready == 0 || age < script.Unready)
	object.Status = &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: &content.Name, ReadyToUse: &ready, RestoreSize: script.RestoreSize}
	content.Status = &snapshotv1.VolumeSnapshotContentStatus{ReadyToUse: &ready}
	if isCut {
		c.note(object.UID, *object.Spec.Source.PersistentVolumeClaimName, cutAt)
		at := cutAt.Add(script.ClockAhead)
		object.Status.CreationTime = &metav1.Time{Time: at.Truncate(time.Second).Local()}
		content.Status.CreationTime = ptr.To(at.UnixNano())
	}
	if script.Error != "" && (!ready || script.ErrorStays) {
		object.Status.Error = &snapshotv1.VolumeSnapshotError{Message: ptr.To(script.Error)}
	}
	if !apiequality.Semantic.DeepEqual(beforeContent.Status, content.Status) {
		if err := c.API.Status().Update(ctx, content); err != nil {
			return err
		}
	}
	if apiequality.Semantic.DeepEqual(beforeObject.Status, object.Status) {
		return nil
	}
	return c.API.Status().Update(ctx, object)
}

func (c *Controller) note(uid types.UID, claim string, at time.Time) {
	if !c.cut[uid] {
		c.cut[uid] = true
		c.Cuts = append(c.Cuts, Cut{Claim: claim, At: at})
	}
}

// remove ends a snapshot and its content.
func (c *Controller) remove(ctx context.Context, object *snapshotv1.VolumeSnapshot) error {
	content := &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: "snapcontent-" + string(object.UID)}}
	if err := client.IgnoreNotFound(c.API.Delete(ctx, content)); err != nil {
		return err
	}
	return c.drop(ctx, object)
}

// drop takes the finalizers off and the object away.
func (c *Controller) drop(ctx context.Context, object client.Object) error {
	if len(object.GetFinalizers()) > 0 {
		object.SetFinalizers(nil)
		if err := c.API.Update(ctx, object); err != nil {
			return client.IgnoreNotFound(err)
		}
	}
	return client.IgnoreNotFound(c.API.Delete(ctx, object))
}
