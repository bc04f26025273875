// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package all

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	cachetesting "k8s.io/client-go/tools/cache/testing"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/drivers/generic"
	"roost.dev/roost/drivers/published"
)

// publisher is an API server on which nothing ever changes.
type publisher struct {
	topologies []storagev1alpha1.VolumeTopology
	reports    []storagev1alpha1.StorageReport
}

func (p *publisher) IsWatchListSemanticsUnSupported() bool { return true }

func (p *publisher) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch list := list.(type) {
	case *storagev1alpha1.VolumeTopologyList:
		list.Items = p.topologies
	case *storagev1alpha1.StorageReportList:
		list.Items = p.reports
	}
	return nil
}

func (p *publisher) Watch(context.Context, client.ObjectList, ...client.ListOption) (watch.Interface, error) {
	return watch.NewFake(), nil
}

// unstreamed tells the reflector that the fake has no streamed lists.
type unstreamed struct {
	*cachetesting.FakeControllerSource
}

func (unstreamed) IsWatchListSemanticsUnSupported() bool { return true }

// newInformers has two volumes on one node.
func newInformers(first, second drivers.VolumeID) informers.SharedInformerFactory {
	factory := informers.NewSharedInformerFactory(nil, 0)
	inform := func(kind runtime.Object, objects ...runtime.Object) {
		source := unstreamed{cachetesting.NewFakeControllerSource()}
		for _, object := range objects {
			source.Add(object)
		}
		factory.InformerFor(kind, func(kubernetes.Interface, time.Duration) cache.SharedIndexInformer {
			return cache.NewSharedIndexInformer(source, kind, 0, cache.Indexers{})
		})
	}
	newVolume := func(id drivers.VolumeID) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: "pv-" + id.Handle},
			Spec: corev1.PersistentVolumeSpec{
				PersistentVolumeSource: corev1.PersistentVolumeSource{
					CSI: &corev1.CSIPersistentVolumeSource{Driver: id.Provisioner, VolumeHandle: id.Handle},
				},
				NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
					MatchExpressions: []corev1.NodeSelectorRequirement{{
						Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{"node-a"},
					}},
				}}}},
			},
		}
	}
	inform(&corev1.Node{}, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-a", Labels: map[string]string{corev1.LabelHostname: "node-a"}}})
	inform(&corev1.PersistentVolume{}, newVolume(first), newVolume(second))
	inform(&storagev1.VolumeAttachment{})
	return factory
}

func TestPublishedIsAskedBeforeGeneric(t *testing.T) {
	both := drivers.VolumeID{Provisioner: "csi.roost.dev", Handle: "both"}
	one := drivers.VolumeID{Provisioner: "csi.roost.dev", Handle: "one"}
	factory := newInformers(both, one)
	t.Cleanup(factory.Shutdown)
	api := &publisher{
		topologies: []storagev1alpha1.VolumeTopology{{
			ObjectMeta: metav1.ObjectMeta{Name: "both"},
			Spec:       storagev1alpha1.VolumeTopologySpec{Provisioner: both.Provisioner, VolumeHandle: both.Handle},
			Status: storagev1alpha1.VolumeTopologyStatus{
				Replicas: []storagev1alpha1.VolumeReplica{{NodeName: "node-b", State: storagev1alpha1.ReplicaInSync}},
			},
		}},
		reports: []storagev1alpha1.StorageReport{{
			ObjectMeta: metav1.ObjectMeta{Name: "node-b"},
			Spec:       storagev1alpha1.StorageReportSpec{Provisioner: both.Provisioner, NodeName: "node-b"},
			Status:     storagev1alpha1.StorageReportStatus{State: storagev1alpha1.StorageOnline, HeartbeatTime: metav1.NowMicro()},
		}},
	}
	registry := drivers.NewRegistry(clock.RealClock{}, drivers.NewMetrics())
	if err := Add(registry, Dependencies{Client: api, Informers: factory, Clock: clock.RealClock{}}); err != nil {
		t.Fatalf("adding the drivers: %v", err)
	}
	factory.Start(t.Context().Done())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); registry.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	if err := wait.PollUntilContextTimeout(ctx, time.Millisecond, 10*time.Second, true,
		func(context.Context) (bool, error) { return registry.HasSynced(), nil }); err != nil {
		t.Fatalf("waiting for the drivers to sync: %v", err)
	}
	for id, want := range map[drivers.VolumeID]string{both: published.Name, one: generic.Name} {
		if got := registry.Locate(id); got.Driver != want || got.Knowledge != drivers.Known {
			t.Errorf("Locate(%+v) is %+v, want it from driver %q", id, got, want)
		}
	}
	report := registry.NodeReport(both.Provisioner, "node-b")
	if diff := cmp.Diff(drivers.Online, report.State); diff != "" {
		t.Errorf("state of a node (-want +got):\n%s", diff)
	}
	if !report.LocatesAll {
		t.Error("the published report does not say that its driver knows every volume")
	}
}

func TestAddNamesTheDriverThatLacksSomething(t *testing.T) {
	complete := Dependencies{Client: &publisher{}, Informers: informers.NewSharedInformerFactory(nil, 0), Clock: clock.RealClock{}}
	for name, tc := range map[string]struct {
		change func(*Dependencies)
		want   string
	}{
		"no client":    {change: func(d *Dependencies) { d.Client = nil }, want: `making driver "published": client is missing`},
		"no clock":     {change: func(d *Dependencies) { d.Clock = nil }, want: `making driver "published": clock is missing`},
		"no informers": {change: func(d *Dependencies) { d.Informers = nil }, want: `making driver "generic": informers are missing`},
		"health without what it needs": {
			change: func(d *Dependencies) { d.GenericHealth = &generic.HealthOptions{} }, want: `making driver "generic": leases are missing`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dependencies := complete
			tc.change(&dependencies)
			err := Add(drivers.NewRegistry(clock.RealClock{}, drivers.NewMetrics()), dependencies)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want %q", err, tc.want)
			}
		})
	}
	complete.GenericHealth = &generic.HealthOptions{
		Leases:              fake.NewClientset().CoordinationV1().Leases(corev1.NamespaceNodeLease),
		PluginNotReadyAfter: time.Minute, BootGrace: time.Minute, LeaseStaleAfter: time.Minute, AttachErrorsAfter: time.Minute,
	}
	registry := drivers.NewRegistry(clock.RealClock{}, drivers.NewMetrics())
	if err := Add(registry, complete); err != nil {
		t.Fatalf("adding the drivers: %v", err)
	}
	if err := Add(registry, complete); err == nil {
		t.Error("adding the drivers twice succeeds, want an error")
	}
}
