// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	clocktesting "k8s.io/utils/clock/testing"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/mirror/mirrortest"
)

const (
	driver = "csi.roost.dev"
	node   = "node-a"
)

var (
	// noLease stands for a node that has no lease.
	noLease = time.Unix(0, 0)

	today = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

	notReadyAfter, bootGrace, staleAfter, errorsAfter = 60 * time.Second, 2 * time.Minute, 40 * time.Second, 70 * time.Second
)

// leases are those of the nodes, by name. They are not for concurrent use.
type leases map[string]time.Time

var errNoAnswer = errors.New("no answer")

// Get implements LeaseGetter.
func (l leases) Get(_ context.Context, name string, _ metav1.GetOptions) (*coordinationv1.Lease, error) {
	renewed, ok := l[name]
	if !ok {
		return nil, errNoAnswer
	}
	if renewed.Equal(noLease) {
		return nil, apierrors.NewNotFound(coordinationv1.Resource("leases"), name)
	}
	return &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{RenewTime: &metav1.MicroTime{Time: renewed}}}, nil
}

func newHealthOptions(reader LeaseGetter) *HealthOptions {
	return &HealthOptions{
		Leases: reader, PluginNotReadyAfter: notReadyAfter, BootGrace: bootGrace, LeaseStaleAfter: staleAfter, AttachErrorsAfter: errorsAfter,
	}
}

// seen is a driver that is told by hand what happens, and the changes that it has told.
type seen struct {
	*Source
	t      *testing.T
	clock  *clocktesting.FakeClock
	leases leases
	// renewing are the nodes whose kubelets renew their leases, every ten seconds.
	renewing []string
	told     []drivers.Change
}

func newSeen(t *testing.T, plugins ...NodePlugin) *seen {
	t.Helper()
	s := &seen{t: t, clock: clocktesting.NewFakeClock(today), leases: leases{}}
	options := newOptions(s)
	options.Health.NodePlugins = plugins
	source, err := New(options)
	if err != nil {
		t.Fatalf("making the driver: %v", err)
	}
	s.Source = source
	s.Subscribe(func(change drivers.Change) { s.told = append(s.told, change) })
	return s
}

// newOptions are all that a driver with health needs.
func newOptions(s *seen) Options {
	return Options{
		Informers: informers.NewSharedInformerFactory(nil, 0), Client: mirrortest.New(), Clock: s.clock, Health: newHealthOptions(s.leases),
	}
}

// newRunning has a node that has been up for an hour, with the driver's node plugin.
func newRunning(t *testing.T) *seen {
	t.Helper()
	s := newSeen(t)
	s.nodeChanged(newNodeIn(corev1.ConditionTrue, today.Add(-time.Hour)))
	s.csiNodeChanged(newCSINode(today.Add(-time.Hour), driver))
	s.podChanged(newPluginPod("plugin-1", "1", true))
	s.renewing = []string{node}
	s.check("a node on which all is well", drivers.Online)
	s.told = nil
	return s
}

// wait lets time pass, with what Run does in it.
func (s *seen) wait(d time.Duration) {
	for ; d > 0; d -= tickInterval {
		s.clock.Step(tickInterval)
		elapsed := s.clock.Now().Sub(today)
		if elapsed%(10*time.Second) == 0 {
			for _, name := range s.renewing {
				s.leases[name] = s.clock.Now().Add(-24 * time.Hour) // the node's clock is a day behind
			}
		}
		if elapsed%leaseInterval == 0 {
			for _, name := range s.notReady() {
				s.readLease(s.t.Context(), name)
			}
		}
		s.judgeParts(s.health.pendingParts())
	}
}

func (s *seen) check(what string, want drivers.StorageState) {
	s.t.Helper()
	if got, ok := s.NodeReport(driver, node); !ok || got.State != want || got.Message == "" {
		s.t.Errorf("%s: the report is %+v, %t, want %s with a message", what, got, ok, want)
	}
}

func (s *seen) checkNotKnown(what string) {
	s.t.Helper()
	if got, ok := s.NodeReport(driver, node); ok || got != (drivers.NodeReport{}) {
		s.t.Errorf("%s: the report is %+v, %t, want none", what, got, ok)
	}
}

func newNodeIn(ready corev1.ConditionStatus, since time.Time) *corev1.Node {
	object := newNode(node)
	object.Status.Conditions = []corev1.NodeCondition{
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse},
		{Type: corev1.NodeReady, Status: ready, LastTransitionTime: metav1.NewTime(since)},
	}
	return object
}

func newCSINode(created time.Time, names ...string) *storagev1.CSINode {
	object := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: node, CreationTimestamp: metav1.NewTime(created)}}
	for _, name := range names {
		object.Spec.Drivers = append(object.Spec.Drivers, storagev1.CSINodeDriver{Name: name})
	}
	return object
}

func newPluginPod(name, revision string, ready bool) *corev1.Pod {
	controller := true
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: "storage",
			Labels:          map[string]string{appsv1.DefaultDaemonSetUniqueLabelKey: revision, "app": "plugin"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "DaemonSet", Name: "plugin", Controller: &controller}},
		},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{
			{Name: "plugin", Args: []string{"--endpoint=unix:///csi/csi.sock"}},
			{Name: "registrar", Args: []string{"--kubelet-registration-path=/var/lib/kubelet/plugins/" + driver + "/csi.sock"}},
		}},
	}
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}
	return pod
}

func newAttempt(name string, attached bool, attachError, detachError string) *storagev1.VolumeAttachment {
	object := &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: storagev1.VolumeAttachmentSpec{
			Attacher: driver, NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &name},
		},
		Status: storagev1.VolumeAttachmentStatus{Attached: attached},
	}
	if attachError != "" {
		object.Status.AttachError = &storagev1.VolumeError{Message: attachError}
	}
	if detachError != "" {
		object.Status.DetachError = &storagev1.VolumeError{Message: detachError}
	}
	return object
}

// stopRenewing has the node's kubelet fall silent.
func (s *seen) stopRenewing(name string) {
	s.renewing = slices.DeleteFunc(s.renewing, func(other string) bool { return other == name })
}
