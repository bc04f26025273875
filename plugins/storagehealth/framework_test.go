// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/defaultbinder"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/queuesort"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
	st "k8s.io/kubernetes/pkg/scheduler/testing"
	tf "k8s.io/kubernetes/pkg/scheduler/testing/framework"
	testingclock "k8s.io/utils/clock/testing"

	"roost.dev/roost/drivers"
	"roost.dev/roost/plugins"
)

// newProfile is a framework with the plugin at all its extension points, and node a.
func newProfile(t *testing.T, storage *memory, activator *handle, objects ...runtime.Object) (framework.Framework, []fwk.NodeInfo) {
	t.Helper()
	metrics.Register()
	client, clock := fake.NewClientset(objects...), testingclock.NewFakeClock(testEpoch)
	factory, snapshot := informers.NewSharedInformerFactory(client, 0), cache.NewSnapshot(nil, []*corev1.Node{st.MakeNode().Name("a").Obj()})
	newPlugin := func(ctx context.Context, _ runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
		registry := drivers.NewRegistry(clock, drivers.NewMetrics())
		err := registry.Add(drivers.Driver{Name: "memory", Provisioners: []string{provisioner}, Source: storage, Locator: storage, Health: storage})
		if err != nil {
			return nil, err
		}
		pl, err := New(ctx, defaultArgs(), handle, Sources{Registry: registry, StorageNodes: nodesOf{storage}, Clock: clock})
		if err == nil {
			go pl.waiting.run(ctx)
		}
		return pl, err
	}
	profile, err := tf.NewFramework(t.Context(), []tf.RegisterPluginFunc{
		tf.RegisterQueueSortPlugin(queuesort.Name, queuesort.New),
		tf.RegisterBindPlugin(defaultbinder.Name, defaultbinder.New),
		tf.RegisterPluginAsExtensionsWithWeight(Name, 15, newPlugin, "PreFilter", "Filter", "PreScore", "Score", "PostBind"),
	}, "roost", frameworkruntime.WithClientSet(client), frameworkruntime.WithInformerFactory(factory),
		frameworkruntime.WithSnapshotSharedLister(snapshot), frameworkruntime.WithPodActivator(activator))
	if err != nil {
		t.Fatalf("making the framework: %v", err)
	}
	nodes, err := snapshot.NodeInfos().List()
	if err != nil {
		t.Fatalf("listing nodes: %v", err)
	}
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	return profile, nodes
}

// TestInTheSchedulersFramework has the framework itself call the plugin at its extension points.
func TestInTheSchedulersFramework(t *testing.T) {
	pod, bare := newPod("db-0", "data"), newPod("bare")
	storage := &memory{states: map[part]drivers.StorageState{on("a"): drivers.Offline}, storageNodes: map[part]plugins.StorageNode{}}
	activator := &handle{}
	profile, nodes := newProfile(t, storage, activator, append(append(installed(provisioner), csi("data", provisioner)...), pod, bare)...)

	got := map[string]fwk.Code{}
	for _, p := range []*corev1.Pod{pod, bare} {
		state := framework.NewCycleState()
		if _, status, _ := profile.RunPreFilterPlugins(t.Context(), state, p); !status.IsSuccess() {
			t.Fatalf("PreFilter of %s: %v", p.Name, status)
		}
		got[p.Name] = profile.RunFilterPlugins(t.Context(), state, p, nodes[0]).Code()
	}
	want := map[string]fwk.Code{"db-0": fwk.UnschedulableAndUnresolvable, "bare": fwk.Success}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes on the node that is offline (-want +got):\n%s", diff)
	}
	storage.say(on("a"), drivers.Online)
	waitUntil(t, "the framework is asked to bring the pod back", activator.has("default/db-0"))
}

// TestSignaturesInTheSchedulersFramework has the framework itself sign pods for opportunistic batching.
func TestSignaturesInTheSchedulersFramework(t *testing.T) {
	profile, _ := newProfile(t, &memory{}, &handle{})
	if profile.SignPod(t.Context(), newPod("bare")) == nil {
		t.Error("a pod without claims is not signed")
	}
	if got := profile.SignPod(t.Context(), newPod("db-0", "data")); got != nil {
		t.Errorf("a pod with a claim is signed: %q", got)
	}
}
