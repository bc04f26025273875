// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

// recorder takes the time on the scheduler's own informer of pods, as scheduler_perf's collectors do.
type recorder struct {
	mu          sync.Mutex
	first, last time.Time
	bound       int
}

func record(pods cache.SharedIndexInformer) (*recorder, error) {
	r := &recorder{}
	_, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { r.see(nil, object) },
		UpdateFunc: r.see,
	})
	if err != nil {
		return nil, fmt.Errorf("following the pods: %w", err)
	}
	return r, nil
}

func (r *recorder) see(before, after any) {
	pod, ok := after.(*corev1.Pod)
	if !ok || pod.Namespace != measured {
		return
	}
	old, _ := before.(*corev1.Pod)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.first.IsZero() {
		r.first = now
	}
	if pod.Spec.NodeName != "" && (old == nil || old.Spec.NodeName == "") {
		r.last = now
		r.bound++
	}
}

// took is from the first pod created to the last one bound.
func (r *recorder) took(pods int) (time.Duration, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bound != pods {
		return 0, fmt.Errorf("%d pods were seen to be bound, want %d", r.bound, pods)
	}
	return r.last.Sub(r.first), nil
}
