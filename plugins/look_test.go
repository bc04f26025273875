// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	st "k8s.io/kubernetes/pkg/scheduler/testing"
	testingclock "k8s.io/utils/clock/testing"
)

func TestLook(t *testing.T) {
	clock, look := testingclock.NewFakeClock(time.Unix(0, 0)), NewLook()
	looks, done := make(chan string), make(chan struct{})
	tell := func(kind string) func(klog.Logger) { return func(klog.Logger) { looks <- kind } }
	ctx, cancel := context.WithCancel(t.Context())
	look.Soon()
	look.Soon() // Does not block, and is no second look.
	go func() {
		look.Run(ctx, clock, tell("changed"), tell("silent"))
		close(done)
	}()
	got := []string{<-looks}
	clock.Step(LookInterval)
	got = append(got, <-looks)
	look.Soon()
	got = append(got, <-looks)
	clock.Step(LookInterval - 1) // Not yet.
	cancel()
	<-done
	if diff := cmp.Diff([]string{"changed", "silent", "changed"}, got); diff != "" {
		t.Errorf("looks (-want +got):\n%s", diff)
	}
}

func TestExists(t *testing.T) {
	store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	pods := corelisters.NewPodLister(store)
	pod := func(name, uid string) *corev1.Pod { return st.MakePod().Namespace("default").Name(name).UID(uid).Obj() }
	for _, p := range []*corev1.Pod{pod("stays", "1"), pod("again", "2")} {
		if err := store.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]bool{}
	for _, p := range []*corev1.Pod{pod("stays", "1"), pod("again", "1"), pod("gone", "1")} {
		got[p.Name] = Exists(pods, p)
	}
	if diff := cmp.Diff(map[string]bool{"stays": true, "again": false, "gone": false}, got); diff != "" {
		t.Errorf("which exist (-want +got):\n%s", diff)
	}
}

func TestOnDelete(t *testing.T) {
	var forgotten []types.UID
	handler := OnDelete(func(uid types.UID) { forgotten = append(forgotten, uid) })
	handler.OnAdd(st.MakePod().UID("added").Obj(), false)
	handler.OnDelete(st.MakePod().UID("seen").Obj())
	handler.OnDelete(cache.DeletedFinalStateUnknown{Obj: st.MakePod().UID("missed").Obj()})
	handler.OnDelete(cache.DeletedFinalStateUnknown{})
	if diff := cmp.Diff([]types.UID{"seen", "missed"}, forgotten); diff != "" {
		t.Errorf("forgotten (-want +got):\n%s", diff)
	}
}
