// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package tick

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/snapshot/slots"
)

// due is a minute at which all are due.
var due = time.Date(2026, time.March, 1, 12, 5, 0, 0, time.UTC)

func TestClaimsAreSpreadOverNamespaces(t *testing.T) {
	opts := Options{Claims: 100, Namespaces: 30}
	names, perNamespace := sets.New[types.NamespacedName](), map[string]int{}
	for i := range opts.Claims {
		claim, schedule := opts.claim(i), opts.schedule(i, due)
		if claim.Namespace != schedule.Namespace || schedule.Spec.Template.Spec.ClaimNames[0] != claim.Name {
			t.Errorf("schedule %s is not of claim %s", client.ObjectKeyFromObject(schedule), client.ObjectKeyFromObject(claim))
		}
		names.Insert(client.ObjectKeyFromObject(claim))
		perNamespace[claim.Namespace]++
	}
	if names.Len() != opts.Claims || len(perNamespace) != opts.Namespaces {
		t.Errorf("%d names in %d namespaces, want %d in %d", names.Len(), len(perNamespace), opts.Claims, opts.Namespaces)
	}
	for name, count := range perNamespace {
		if count < 3 || count > 4 {
			t.Errorf("namespace %s has %d claims, want 3 or 4", name, count)
		}
	}
}

func TestSchedulesAreDueAtOneMinute(t *testing.T) {
	schedule := DefaultOptions().schedule(0, due)
	parsed, invalid := slots.Parse(&schedule.Spec, due.Add(-time.Hour))
	if len(invalid) > 0 {
		t.Fatal(invalid.ToAggregate())
	}
	next := parsed.NextN(due.Add(-time.Hour), 2)
	if len(next) != 2 || !next[0].Equal(due) || !next[1].Equal(due.AddDate(1, 0, 0)) {
		t.Errorf("%q is due at %v, want %s and a year later", schedule.Spec.Schedule, next, due)
	}
}

func TestThereIsTimeToMakeTheSchedules(t *testing.T) {
	for _, claims := range []int{1, 300, 5000} {
		for _, seconds := range []int{0, 1, 59} {
			now := due.Add(time.Duration(seconds) * time.Second)
			at := Options{Claims: claims}.tickAfter(now)
			if at.Second() != 0 || at.Sub(now) < time.Minute+time.Duration(claims)*20*time.Millisecond {
				t.Errorf("%d claims at %s are due at %s, want a whole minute with time to write each schedule's status", claims, now, at)
			}
		}
	}
}

func TestConfigIsOneOfTheManager(t *testing.T) {
	opts := DefaultOptions()
	opts.Profiling, opts.QPS = "127.0.0.1:6060", 200
	var config managerv1alpha1.ControllerManagerConfiguration
	if err := yaml.UnmarshalStrict([]byte(opts.config()), &config); err != nil {
		t.Fatal(err)
	}
	if config.APIVersion != managerv1alpha1.GroupVersion.String() || config.Profiling.BindAddress != opts.Profiling ||
		config.Snapshots.QPS != 200 || config.Snapshots.Burst != 400 {
		t.Errorf("configuration is %+v", config)
	}
}
