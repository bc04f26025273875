// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	cachetesting "k8s.io/client-go/tools/cache/testing"
)

func TestLevelsAreForgottenWithTheirPods(t *testing.T) {
	source := cachetesting.NewFakeControllerSource()
	gone, stays := podUsing(), podUsing()
	gone.Name, gone.UID = "gone", "gone"
	source.Add(gone)
	source.Add(stays)
	informer := cache.NewSharedIndexInformer(source, &corev1.Pod{}, 0, nil)
	l := newLevels()
	if err := l.forgetDeleted(informer); err != nil {
		t.Fatalf("forgetDeleted: %v", err)
	}
	go informer.RunWithContext(t.Context())
	waitUntil(t, informer.HasSynced)
	l.set(gone.UID, 2)
	l.set(stays.UID, 2)
	source.Delete(gone)
	waitUntil(t, func() bool { return l.of(gone.UID) == 0 })
	if got := l.of(stays.UID); got != 2 {
		t.Errorf("level of a pod that was not deleted = %d, want 2", got)
	}
}
