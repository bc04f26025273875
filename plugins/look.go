// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// LookInterval is how often plugins look whether pods can come back without word of a change: what a storage system says
// grows too old to count without any.
const LookInterval = 30 * time.Second

// Look asks a plugin to look which of the pods that wait can come back. No event of Kubernetes tells the scheduler of a
// change in a storage system. It has room for one, so that a burst of changes is one look.
type Look chan struct{}

// NewLook returns a Look that is not asked for.
func NewLook() Look {
	return make(Look, 1)
}

// Soon asks for a look. It does not block.
func (l Look) Soon() {
	select {
	case l <- struct{}{}:
	default:
	}
}

// Run calls changed where a look was asked for, and silent every LookInterval, until ctx is done.
func (l Look) Run(ctx context.Context, clock clock.WithTicker, changed, silent func(klog.Logger)) {
	ticker := clock.NewTicker(LookInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l:
			changed(klog.FromContext(ctx))
		case <-ticker.C():
			silent(klog.FromContext(ctx))
		}
	}
}

// Exists says that the pod has not been deleted. Of its name there may be another by now.
func Exists(pods corelisters.PodLister, pod *corev1.Pod) bool {
	current, err := pods.Pods(pod.Namespace).Get(pod.Name)
	return err == nil && current.UID == pod.UID
}

// OnDelete is an event handler that has pods forgotten which are deleted.
func OnDelete(forget func(types.UID)) cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{DeleteFunc: func(obj any) {
		if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		if pod, ok := obj.(*corev1.Pod); ok {
			forget(pod.UID)
		}
	}}
}
