// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// snapshotColumns is the object as kubectl shows it.
func snapshotColumns(object *snapshotv1alpha1.ApplicationSnapshot, now time.Time) [][]string {
	status := &object.Status
	return [][]string{
		{"NAME", "PHASE", "READY", "CONSISTENCY", "CUT", "AGE"},
		{
			object.Name, string(status.Phase), status.Ready, string(status.Consistency),
			since(status.CutTime, now), duration.HumanDuration(now.Sub(object.CreationTimestamp.Time)),
		},
	}
}

// restoreColumns is the object as kubectl shows it, but for the message.
func restoreColumns(object *snapshotv1alpha1.SnapshotRestore, now time.Time) [][]string {
	status := &object.Status
	return [][]string{
		{"NAME", "SNAPSHOT", "PHASE", "CONSISTENCY", "COMPLETED", "AGE"},
		{
			object.Name, object.Spec.Source.Name, string(status.Phase), string(status.Consistency),
			since(status.CompletionTime, now), duration.HumanDuration(now.Sub(object.CreationTimestamp.Time)),
		},
	}
}

// since is how long ago something was, as kubectl shows it.
func since(moment *metav1.MicroTime, now time.Time) string {
	if moment == nil {
		return ""
	}
	return duration.HumanDuration(now.Sub(moment.Time))
}
