// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restoregate

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/events"
	fwk "k8s.io/kube-scheduler/framework"
	st "k8s.io/kubernetes/pkg/scheduler/testing"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/internal/builders"
)

// handle is what the plugin needs of a framework.
type handle struct {
	fwk.Handle
	informers informers.SharedInformerFactory
	events    events.EventRecorderLogger
}

func (h handle) SharedInformerFactory() informers.SharedInformerFactory { return h.informers }

func (h handle) EventRecorder() events.EventRecorderLogger { return h.events }

// newGate is the plugin in a cluster with these objects.
func newGate(t *testing.T, objects ...runtime.Object) *RestoreGate {
	t.Helper()
	h := handle{informers: informers.NewSharedInformerFactory(fake.NewClientset(objects...), 0), events: events.NewFakeRecorder(10)}
	pl, err := New(t.Context(), nil, h)
	if err != nil {
		t.Fatal(err)
	}
	h.informers.Start(t.Context().Done())
	h.informers.WaitForCacheSync(t.Context().Done())
	return pl.(*RestoreGate)
}

func restoring(claim string) *corev1.PersistentVolumeClaim {
	return builders.MakeClaim(claim).Annotation(snapshotv1alpha1.AnnotationRestoring, "undo-friday").Obj()
}

func elsewhere(claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	claim.Namespace = "elsewhere"
	return claim
}

// newPod has claims by name, and a generic ephemeral volume "scratch".
func newPod(claims ...string) *corev1.Pod {
	pod := st.MakePod().Name("db-0").UID("db-0").Namespace(builders.Namespace)
	for _, claim := range claims {
		pod = pod.PVC(claim)
	}
	object := pod.Obj()
	object.Spec.Volumes = append(object.Spec.Volumes,
		corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
		corev1.Volume{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	return object
}

func TestPreEnqueue(t *testing.T) {
	held := `persistentvolumeclaim "data" is being restored by SnapshotRestore "undo-friday"`
	for name, tc := range map[string]struct {
		objects []runtime.Object
		pod     *corev1.Pod
		want    string
	}{
		"its claim is being restored":                      {objects: []runtime.Object{restoring("data")}, pod: newPod("data"), want: held},
		"one of several claims is being restored":          {objects: []runtime.Object{builders.MakeClaim("logs").Obj(), restoring("data")}, pod: newPod("logs", "data"), want: held},
		"the claim of its ephemeral volume":                {objects: []runtime.Object{restoring("db-0-scratch")}, pod: newPod(), want: `persistentvolumeclaim "db-0-scratch" is being restored by SnapshotRestore "undo-friday"`},
		"a claim that nobody restores":                     {objects: []runtime.Object{builders.MakeClaim("data").Obj()}, pod: newPod("data")},
		"another pod's claim is being restored":            {objects: []runtime.Object{builders.MakeClaim("data").Obj(), restoring("other")}, pod: newPod("data")},
		"a claim of that name in another place":            {objects: []runtime.Object{builders.MakeClaim("data").Obj(), elsewhere(restoring("data"))}, pod: newPod("data")},
		"a claim that is not there":                        {pod: newPod("data")},
		"after one that is not there one that is restored": {objects: []runtime.Object{restoring("data")}, pod: newPod("missing", "data"), want: held},
		"no claim at all":                                  {objects: []runtime.Object{restoring("data")}, pod: st.MakePod().Name("web").Namespace(builders.Namespace).Obj()},
	} {
		t.Run(name, func(t *testing.T) {
			status := newGate(t, tc.objects...).PreEnqueue(t.Context(), tc.pod)
			if diff := cmp.Diff(tc.want, status.Message()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if want := map[bool]fwk.Code{true: fwk.UnschedulableAndUnresolvable, false: fwk.Success}[tc.want != ""]; status.Code() != want {
				t.Errorf("code = %v, want %v", status.Code(), want)
			}
		})
	}
}

// broken is a lister that fails.
type broken struct {
	corelisters.PersistentVolumeClaimNamespaceLister
}

func (b broken) PersistentVolumeClaims(string) corelisters.PersistentVolumeClaimNamespaceLister {
	return b
}

func (broken) Get(string) (*corev1.PersistentVolumeClaim, error) { return nil, errors.New("broken") }
func (broken) List(labels.Selector) ([]*corev1.PersistentVolumeClaim, error) {
	return nil, errors.New("broken")
}

func TestPreEnqueueHoldsWhatItCannotKnow(t *testing.T) {
	if status := (&RestoreGate{claims: broken{}}).PreEnqueue(t.Context(), newPod("data")); status.Code() != fwk.Error {
		t.Errorf("status is %v, want an error", status)
	}
}

func TestArgumentsAreRefused(t *testing.T) {
	if _, err := New(t.Context(), &corev1.Pod{}, handle{}); err == nil {
		t.Error("arguments are taken, though none would be read")
	}
}

// The scheduler writes neither condition nor event for a pod that PreEnqueue holds.
func TestAPodThatIsHeldIsTold(t *testing.T) {
	pl := newGate(t, restoring("data"))
	pl.PreEnqueue(t.Context(), newPod("other"))
	pl.PreEnqueue(t.Context(), newPod("data"))
	told := pl.events.(*events.FakeRecorder).Events
	if want, got := `Normal WaitingForRestore persistentvolumeclaim "data" is being restored by SnapshotRestore "undo-friday"`, <-told; got != want {
		t.Errorf("event %q, want %q", got, want)
	}
	if len(told) > 0 {
		t.Errorf("another event: %q", <-told)
	}
}
