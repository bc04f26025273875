// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package tick

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/internal/sandbox"
)

// className is a StorageClass that gives a claim its volume without a pod.
const className = "tick"

// size is that of a claim. All together fit on the simulated storage nodes, of 1Ti each, with a snapshot of each.
const size = "16Mi"

// settling is how long a thousand schedules take until all have said when they run next, with the manager's own limit of
// requests, and spare.
const settling = 35 * time.Second

func storageClass() *storagev1.StorageClass {
	return &storagev1.StorageClass{
		ObjectMeta:        metav1.ObjectMeta{Name: className},
		Provisioner:       sandbox.Provisioner,
		Parameters:        map[string]string{"replicas": "1", "access": "any"},
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingImmediate),
	}
}

func namespaceName(index int) string { return fmt.Sprintf("tick-%03d", index) }

// meta is what the claim and the schedule with that index are called: the namespaces take turns.
func (o Options) meta(index int) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespaceName(index % o.Namespaces), Name: fmt.Sprintf("data-%03d", index/o.Namespaces)}
}

func (o Options) claim(index int) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: o.meta(index),
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: ptr.To(className),
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
			},
		},
	}
}

// schedule is due at that minute, and then not for a year.
func (o Options) schedule(index int, at time.Time) *snapshotv1alpha1.SnapshotSchedule {
	meta := o.meta(index)
	return &snapshotv1alpha1.SnapshotSchedule{
		ObjectMeta: meta,
		Spec: snapshotv1alpha1.SnapshotScheduleSpec{
			Schedule:  cron(at),
			Jitter:    metav1.Duration{Duration: o.Jitter},
			Retention: snapshotv1alpha1.Retention{Last: 1},
			Template: snapshotv1alpha1.SnapshotTemplate{
				Spec: snapshotv1alpha1.ApplicationSnapshotSpec{ClaimNames: []string{meta.Name}},
			},
		},
	}
}

// cron is the expression of one minute of the year.
func cron(at time.Time) string {
	at = at.UTC()
	return fmt.Sprintf("%d %d %d %d *", at.Minute(), at.Hour(), at.Day(), at.Month())
}

// tickAfter is the minute at which all are due, where the schedules are made from now on.
func (o Options) tickAfter(now time.Time) time.Time {
	return now.Add(time.Minute + time.Duration(o.Claims)*settling/1000).Truncate(time.Minute).Add(time.Minute)
}

// config is what is shipped but for what the options say: every other field has its default there.
func (o Options) config() string {
	return fmt.Sprintf("apiVersion: %s\nkind: ControllerManagerConfiguration\nprofiling:\n  bindAddress: %q\nsnapshots:\n  qps: %d\n  burst: %d\n",
		managerv1alpha1.GroupVersion, o.Profiling, o.QPS, 2*o.QPS)
}
