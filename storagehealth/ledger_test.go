// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/storagehealth/candidates"
	"roost.dev/roost/storagehealth/failover"
	"roost.dev/roost/storagehealth/verdict"
)

func TestWhoIsCountedAsMoved(t *testing.T) {
	key := verdict.Key{Provisioner: "sim", Node: "node-1"}
	failed := verdict.Verdict{State: storagev1alpha1.HealthUnhealthy}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "a"}}
	there := []candidates.Candidate{{Pod: pod}}
	// Pod a is on its way, and two others were moved already.
	evicted := &finding{verdict: failed, candidates: there, acted: true, progress: []failover.Progress{{Pod: pod, Reason: failover.Evicted}}}
	// The pod is still in memory, and was not found when it was to be evicted.
	notFound := &finding{verdict: failed, candidates: there, acted: true}
	absent := &finding{verdict: failed}
	recovered := &finding{verdict: verdict.Verdict{State: storagev1alpha1.HealthRecovering}}
	stands := []storagev1alpha1.PodOnNode{{UID: "a", Reason: failover.Evicted}}
	waits := []storagev1alpha1.PodOnNode{{UID: "a", Reason: failover.Throttled}}
	throttled := &finding{verdict: failed, candidates: there, acted: true, progress: []failover.Progress{{Pod: pod, Reason: failover.Throttled}}}
	for name, tc := range map[string]struct {
		written []*finding
		journal storagev1alpha1.Failover
		found   *finding
		want    []types.UID
	}{
		"one that has gone":                        {written: []*finding{evicted}, journal: storagev1alpha1.Failover{Moved: 2}, found: absent, want: []types.UID{"a"}},
		"not one that is still there":              {written: []*finding{evicted}, journal: storagev1alpha1.Failover{Moved: 2, Pods: stands}, found: evicted},
		"one that was gone before memory knew":     {written: []*finding{evicted, notFound}, journal: storagev1alpha1.Failover{Moved: 2}, found: absent, want: []types.UID{"a"}},
		"not one that went by itself":              {written: []*finding{notFound}, journal: storagev1alpha1.Failover{Moved: 2}, found: absent},
		"one that an earlier manager was moving":   {journal: storagev1alpha1.Failover{Moved: 2, Pods: stands}, found: absent, want: []types.UID{"a"}},
		"one that waited for the budget":           {written: []*finding{throttled}, journal: storagev1alpha1.Failover{Moved: 2}, found: absent, want: []types.UID{"a"}},
		"one that waited when a manager ended":     {journal: storagev1alpha1.Failover{Moved: 2, Pods: waits}, found: absent, want: []types.UID{"a"}},
		"not one that another manager has counted": {written: []*finding{evicted}, journal: storagev1alpha1.Failover{Moved: 3}, found: absent},
		"one that another manager is moving":       {written: []*finding{evicted}, journal: storagev1alpha1.Failover{Moved: 3, Pods: stands}, found: absent, want: []types.UID{"a"}},
		"not one of a failover that is over":       {written: []*finding{evicted, recovered}, journal: storagev1alpha1.Failover{Moved: 2}, found: absent},
	} {
		t.Run(name, func(t *testing.T) {
			l, journal := newLedger(), &storagev1alpha1.Failover{Moved: 2}
			for _, f := range tc.written {
				l.written(key, journal, journal, f)
			}
			if diff := cmp.Diff(tc.want, l.gone(key, &tc.journal, tc.found), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("gone (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOneThatIsGoneAfterARestartIsCountedThoughMemoryIsLate(t *testing.T) {
	key := verdict.Key{Provisioner: "sim", Node: "node-1"}
	late := &finding{
		verdict: verdict.Verdict{State: storagev1alpha1.HealthUnhealthy}, acted: true,
		candidates: []candidates.Candidate{{Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "a"}}}},
	}
	l := newLedger()
	l.written(key, &storagev1alpha1.Failover{Pods: []storagev1alpha1.PodOnNode{{UID: "a", Reason: failover.Due}}}, &storagev1alpha1.Failover{}, late)
	if got := l.gone(key, &storagev1alpha1.Failover{}, &finding{verdict: late.verdict}); len(got) != 1 {
		t.Errorf("gone are %v, want the pod", got)
	}
}
