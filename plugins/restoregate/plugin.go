// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restoregate

import (
	"context"
	"errors"
	"fmt"
	"iter"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/events"
	fwk "k8s.io/kube-scheduler/framework"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/internal/podvolumes"
)

const (
	// Name is the plugin's name in a KubeSchedulerConfiguration.
	Name = "RestoreGate"
	// EventReasonHeld is the reason of the event on a pod that is held. The scheduler itself says nothing of such a pod.
	EventReasonHeld = "WaitingForRestore"

	eventAction = "Scheduling"
)

// RestoreGate holds pods whose claims are being restored.
type RestoreGate struct {
	claims corelisters.PersistentVolumeClaimLister
	events events.EventRecorder
}

var (
	_ fwk.PreEnqueuePlugin  = (*RestoreGate)(nil)
	_ fwk.EnqueueExtensions = (*RestoreGate)(nil)
)

// New returns the plugin. It has no arguments.
func New(_ context.Context, obj runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
	if obj != nil {
		return nil, errors.New(Name + ": takes no arguments")
	}
	return &RestoreGate{
		claims: handle.SharedInformerFactory().Core().V1().PersistentVolumeClaims().Lister(), events: handle.EventRecorder(),
	}, nil
}

// Name returns the plugin's name.
func (pl *RestoreGate) Name() string {
	return Name
}

// PreEnqueue holds the pod while one of its claims is being restored. A claim that is not there holds no pod here: that is
// VolumeBinding's to say.
func (pl *RestoreGate) PreEnqueue(_ context.Context, pod *corev1.Pod) *fwk.Status {
	for name := range claimsOf(pod) {
		claim, err := pl.claims.PersistentVolumeClaims(pod.Namespace).Get(name)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fwk.AsStatus(fmt.Errorf("reading claim %s: %w", name, err))
		}
		if restore, ok := claim.Annotations[snapshotv1alpha1.AnnotationRestoring]; ok {
			why := fmt.Sprintf("persistentvolumeclaim %q is being restored by SnapshotRestore %q", name, restore)
			pl.events.Eventf(pod, nil, corev1.EventTypeNormal, EventReasonHeld, eventAction, "%s", why)
			return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, why)
		}
	}
	return nil
}

// claimsOf are the names of the pod's claims.
func claimsOf(pod *corev1.Pod) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range pod.Spec.Volumes {
			name := podvolumes.ClaimName(pod, &pod.Spec.Volumes[i])
			if name == "" {
				continue
			}
			if !yield(name) {
				return
			}
		}
	}
}
