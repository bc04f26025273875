// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/storagehealth/candidates"
	"roost.dev/roost/storagehealth/failover"
	"roost.dev/roost/storagehealth/verdict"
)

// busy is how often a node is looked at while pods are being moved away from it, besides when something changes.
const busy = time.Second

// recheck is how often it is looked whether pods may be moved by now that had to stay: what they wait for, such as a copy of
// their data or an annotation on their claim, is not followed.
const recheck = 5 * time.Second

// errConflict says that the StorageNode changed meanwhile.
var errConflict = errors.New("the StorageNode changed meanwhile")

// finding is what is so about a StorageNode now.
type finding struct {
	verdict       verdict.Verdict
	pods, volumes int
	// brake keeps pods from being moved away, nil where nothing does.
	brake *verdict.Brake
	// failedSince is when the failover became due. It is zero where the storage has not failed.
	failedSince time.Time
	// candidates and progress are of a node whose storage failed.
	candidates []candidates.Candidate
	progress   []failover.Progress
	// detaching is how many volumes that no pod uses any more are still attached to the node, which is dead.
	detaching int
	// looked says that candidates are known, and acted that progress is.
	looked, acted bool
}

// movable is how many pods could be moved away.
func (f *finding) movable() int {
	n := 0
	for i := range f.candidates {
		if f.candidates[i].Movable() {
			n++
		}
	}
	return n
}

// moving is how many pods are on their way.
func (f *finding) moving() int { return f.count(isMoving) }

// throttled is how many pods wait for the budget.
func (f *finding) throttled() int {
	return f.count(func(reason string) bool { return reason == failover.Throttled })
}

func (f *finding) count(is func(reason string) bool) int {
	n := 0
	for i := range f.candidates {
		if reason, _ := f.standing(&f.candidates[i]); is(reason) {
			n++
		}
	}
	return n
}

// reconcile brings one StorageNode up to date. What it announces is written before it is done. A key without a provisioner
// is about our taint on the node alone.
func (c *Controller) reconcile(ctx context.Context, key verdict.Key) (again time.Duration, err error) {
	if key.Provisioner == "" {
		return 0, c.releaseTaint(ctx, key.Node)
	}
	object, err := c.ensure(ctx, key)
	if err != nil || object == nil {
		return 0, err
	}
	f := finding{}
	f.verdict, _ = c.board.Verdict(key)
	f.pods, f.volumes = c.finder.InUse(key.Provisioner, key.Node)
	if !f.verdict.Failed() {
		c.mover.Calm(key)
		if err := c.releaseTaint(ctx, key.Node); err != nil {
			return 0, err
		}
		_, err := c.write(ctx, object, &f)
		return 0, err
	}
	f.failedSince = failedSince(object, &f)
	f.candidates, err = c.finder.OnNode(ctx, key.Provisioner, key.Node, f.failedSince)
	if err != nil {
		return 0, fmt.Errorf("finding the pods on node %s: %w", key.Node, err)
	}
	f.looked = true
	if !isFailed(object.Status.State) {
		if object, err = c.write(ctx, object, &f); err != nil || object == nil {
			return 0, err
		}
	}
	return c.failOver(ctx, key, object, &f)
}

// failOver moves pods away from the node as far as may be, and writes how far that went.
func (c *Controller) failOver(ctx context.Context, key verdict.Key, object *storagev1alpha1.StorageNode, f *finding) (again time.Duration, err error) {
	err = c.move(ctx, key, f)
	if err == nil {
		c.board.SetFailedOver(key, f.movable() == 0 && f.detaching == 0)
		f.verdict, _ = c.board.Verdict(key)
	}
	if _, writeErr := c.write(ctx, object, f); writeErr != nil || err != nil {
		return 0, errors.Join(err, writeErr)
	}
	c.tellPods(key, f)
	switch {
	case f.moving() > 0 || f.throttled() > 0 || f.detaching > 0 || c.hasOurTaint(key.Node):
		return busy, nil
	case len(f.candidates) > 0:
		return recheck, nil
	default:
		return 0, nil
	}
}

// move takes the steps that are due, unless a brake holds.
func (c *Controller) move(ctx context.Context, key verdict.Key, f *finding) error {
	mayMove := c.mayMove(key)
	if brake, may := mayMove(key.Node, nil); !may {
		if len(f.candidates) > 0 {
			f.brake = &brake
		}
		return c.releaseTaint(ctx, key.Node)
	}
	result, err := c.mover.Advance(ctx, &failover.Job{
		Provisioner: key.Provisioner, Node: key.Node,
		Cause:      causeOf(key, f.verdict),
		Candidates: f.candidates,
		MayMove:    mayMove,
		Judge: func(live *corev1.Pod) (candidates.Refusal, error) {
			return c.finder.Judge(key.Provisioner, key.Node, f.failedSince, live)
		},
	})
	switch {
	case apierrors.IsConflict(err):
		return errConflict
	case apierrors.IsNotFound(err):
		return nil // the node is gone, and its StorageNode goes with it
	case err != nil:
		return fmt.Errorf("moving pods away from node %s: %w", key.Node, err)
	}
	f.progress, f.detaching, f.acted = result.Progress, result.Detaching, true
	return nil
}

// mayMove asks for the verdict, the brakes and what operators want at the moment it is called: of the key, and of every
// other storage system that the pod has volumes of, on the node that it is on.
func (c *Controller) mayMove(key verdict.Key) func(node string, provisioners []string) (verdict.Brake, bool) {
	return func(node string, provisioners []string) (verdict.Brake, bool) {
		for _, provisioner := range append([]string{key.Provisioner}, provisioners...) {
			if brake, holds := paused(c.csiDrivers, provisioner); holds {
				return brake, false
			}
			if object, ok := c.inventory.get(verdict.Key{Provisioner: provisioner, Node: node}); ok && object.Spec.Maintenance {
				return verdict.Brake{Reason: verdict.ReasonMaintenance, Message: "StorageNode " + object.Name + " has spec.maintenance."}, false
			}
		}
		return c.board.MayMove(key)
	}
}

func (c *Controller) hasOurTaint(node string) bool {
	known, err := c.nodes.Get(node)
	return err == nil && failover.HasOurTaint(known)
}

// releaseTaint takes our taint off a node that is Ready or from which no pod may be moved, and in a dry run off any. While
// pods are being moved away from a dead node, the mover keeps it as long as it is needed.
func (c *Controller) releaseTaint(ctx context.Context, node string) error {
	if !c.hasOurTaint(node) {
		return nil
	}
	moving := slices.ContainsFunc(c.inventory.on(node), func(key verdict.Key) bool {
		_, may := c.mayMove(key)(node, nil)
		return may
	})
	err := c.mover.Untaint(ctx, node, moving)
	if apierrors.IsConflict(err) {
		return errConflict
	}
	return err
}

// ensure returns the StorageNode, made where the driver is on the node and has volumes. It is nil where none is wanted.
func (c *Controller) ensure(ctx context.Context, key verdict.Key) (*storagev1alpha1.StorageNode, error) {
	if object, ok := c.inventory.get(key); ok {
		return object, nil
	}
	node, err := c.nodes.Get(key.Node)
	if apierrors.IsNotFound(err) || err == nil && !c.wanted(key) {
		c.board.Forget(key)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking up node %s: %w", key.Node, err)
	}
	object := newStorageNode(objectName(key), key, node)
	err = c.client.Create(ctx, object)
	if apierrors.IsAlreadyExists(err) {
		if object, err = c.createBeside(ctx, key, node); err != nil || object == nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, fmt.Errorf("creating StorageNode %s: %w", object.Name, err)
	}
	c.storageNodeChanged(object)
	return object, nil
}

// createBeside makes the object under another name where the plain one is another node's. Where it is this node's, the
// watch is about to tell of it.
func (c *Controller) createBeside(ctx context.Context, key verdict.Key, node *corev1.Node) (*storagev1alpha1.StorageNode, error) {
	existing := &storagev1alpha1.StorageNode{}
	if err := c.client.Get(ctx, objectKey(objectName(key)), existing); err != nil {
		return nil, fmt.Errorf("reading StorageNode %s: %w", objectName(key), err)
	}
	if keyOf(existing) == key {
		c.storageNodeChanged(existing)
		return nil, nil
	}
	object := newStorageNode(hashedName(key), key, node)
	if err := c.client.Create(ctx, object); err != nil {
		return nil, fmt.Errorf("creating StorageNode %s: %w", object.Name, err)
	}
	return object, nil
}

// newStorageNode is owned by its Node, so that it goes with it.
func newStorageNode(name string, key verdict.Key, node *corev1.Node) *storagev1alpha1.StorageNode {
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}
	return &storagev1alpha1.StorageNode{
		ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: []metav1.OwnerReference{owner}},
		Spec:       storagev1alpha1.StorageNodeSpec{Provisioner: key.Provisioner, NodeName: key.Node},
	}
}

// write writes the status where it is not what was found, and then tells of the changes. It returns the object as it is
// from then on.
func (c *Controller) write(ctx context.Context, object *storagev1alpha1.StorageNode, f *finding) (*storagev1alpha1.StorageNode, error) {
	status := c.statusOf(object, f)
	if equality.Semantic.DeepEqual(object.Status, status) {
		return object, nil
	}
	updated := object.DeepCopy()
	updated.Status = status
	err := c.client.Status().Update(ctx, updated)
	c.metrics.wrote(err)
	switch {
	case apierrors.IsConflict(err):
		return nil, errConflict
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("writing the status of StorageNode %s: %w", object.Name, err)
	}
	c.inventory.put(updated)
	c.tell(ctx, object, updated, f)
	return updated, nil
}
