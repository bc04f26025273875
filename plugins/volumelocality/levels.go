// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"roost.dev/roost/volumelocality"
)

// levels remembers, for pods that did not fit on their data nodes, the level that they try next. A pod that is not in it
// begins with its data nodes.
type levels struct {
	mu    sync.Mutex
	byPod map[types.UID]volumelocality.Level
}

func newLevels() *levels {
	return &levels{byPod: map[types.UID]volumelocality.Level{}}
}

func (l *levels) of(pod types.UID) volumelocality.Level {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byPod[pod]
}

func (l *levels) set(pod types.UID, level volumelocality.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byPod[pod] = level
}

func (l *levels) forget(pod types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byPod, pod)
}

// forgetDeleted keeps levels from growing by pods that are deleted before they are placed.
func (l *levels) forgetDeleted(pods cache.SharedIndexInformer) error {
	_, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{DeleteFunc: func(obj any) {
		if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		if pod, ok := obj.(*corev1.Pod); ok {
			l.forget(pod.UID)
		}
	}})
	return err
}
