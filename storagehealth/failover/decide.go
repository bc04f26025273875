// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

// step is the one thing that is due for a pod.
type step uint8

const (
	// wait for the pod to end.
	wait step = iota
	// evict the pod.
	evict
	// end the pod by deleting it with its grace period: it is on a dead node, and no PodDisruptionBudget keeps it running.
	end
	// detach its volumes by deleting their attachments.
	detach
	// awaitDetach waits until the attachments are gone.
	awaitDetach
	// remove the pod by force.
	remove
	// fail marks a pod that was removed by force and is held by finalizers, so that its controller lets it go.
	fail
	// lackProof can do nothing more without proof.
	lackProof
)

// view is what decides about a pod's next step.
type view struct {
	// nodeDead says that the node is not Ready.
	nodeDead bool
	// wholeNode says that the node is dead and can write to no volume at all, and that attach-detach has been told so.
	wholeNode bool
	// terminating says that the pod was deleted, overdue that it should have ended, and removed that it was by force.
	terminating, overdue, removed bool
	// proven says that the node can no longer write to any volume of the pod.
	proven bool
	// guarded says that no second writer can come to be when the pod is only asked to leave a dead node.
	guarded bool
	// attached says that volumes of the pod are attached to the node, and detaching that all of them are being detached.
	attached, detaching bool
}

// decide is the whole order of actions. Attachments go before the pod, because attach-detach would wait six minutes for a
// dead node to unmount them; not so where the out-of-service taint has told it that the node is out. No attachment goes
// while the pod is meant to stay: should the node come back then, the pod would go on without its volume.
func decide(v view) step {
	switch {
	case v.nodeDead || v.overdue:
		return decideStuck(v)
	case v.terminating:
		return wait
	default:
		return evict
	}
}

// decideStuck is about a pod that its kubelet does not end.
func decideStuck(v view) step {
	switch {
	case !v.proven && !v.terminating && v.guarded:
		return evict
	case !v.proven:
		return lackProof
	case v.removed:
		return fail
	case v.wholeNode:
		return remove
	case !v.terminating:
		return end
	case !v.attached:
		return remove
	case v.detaching:
		return awaitDetach
	default:
		return detach
	}
}
