// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// member is one that is ready; restoreSize may be empty.
func member(claim, capacity, restoreSize string) snapshotv1alpha1.SnapshotMember {
	m := snapshotv1alpha1.SnapshotMember{
		ClaimName: claim, VolumeSnapshotName: "snap-" + claim, State: "Ready", Capacity: ptr.To(resource.MustParse(capacity)),
	}
	if restoreSize != "" {
		m.RestoreSize = ptr.To(resource.MustParse(restoreSize))
	}
	return m
}

func ofClass(m snapshotv1alpha1.SnapshotMember, class string) snapshotv1alpha1.SnapshotMember {
	m.StorageClassName = class
	return m
}

func failed(claim string) snapshotv1alpha1.SnapshotMember {
	return snapshotv1alpha1.SnapshotMember{ClaimName: claim, State: "Failed", Message: "quota exceeded"}
}

func snapshotOf(members ...snapshotv1alpha1.SnapshotMember) *snapshotv1alpha1.ApplicationSnapshot {
	return &snapshotv1alpha1.ApplicationSnapshot{
		ObjectMeta: metav1.ObjectMeta{Name: "db"}, Status: snapshotv1alpha1.ApplicationSnapshotStatus{Members: members},
	}
}

// plans are restores that can be done.
var plans = map[string]struct {
	spec     snapshotv1alpha1.NewClaims
	snapshot *snapshotv1alpha1.ApplicationSnapshot
	want     map[string]string // new claim -> from, size, class
}{
	"a suffix restores every member": {
		spec:     snapshotv1alpha1.NewClaims{Suffix: "-copy"},
		snapshot: snapshotOf(member("b", "1Gi", ""), member("a", "2Gi", "")),
		want:     map[string]string{"a-copy": "a 2Gi ", "b-copy": "b 1Gi "},
	},
	"claims alone restore what they name": {
		spec:     snapshotv1alpha1.NewClaims{Claims: []snapshotv1alpha1.NewClaim{{From: "a", To: "x"}}},
		snapshot: snapshotOf(member("a", "1Gi", ""), member("b", "1Gi", "")),
		want:     map[string]string{"x": "a 1Gi "},
	},
	"a suffix leaves a name alone that is given": {
		spec:     snapshotv1alpha1.NewClaims{Suffix: "-copy", Claims: []snapshotv1alpha1.NewClaim{{From: "a", To: "x"}}},
		snapshot: snapshotOf(member("a", "1Gi", ""), member("b", "1Gi", "")),
		want:     map[string]string{"x": "a 1Gi ", "b-copy": "b 1Gi "},
	},
	"a StatefulSet's claims get another's names": {
		spec: snapshotv1alpha1.NewClaims{ReplaceName: &snapshotv1alpha1.ReplaceName{StatefulSet: "db", With: "db2"}},
		snapshot: snapshotOf(
			member("data-db-0", "1Gi", ""), member("data-db-12", "1Gi", ""), member("write-ahead-log-db-0", "1Gi", "")),
		want: map[string]string{
			"data-db2-0": "data-db-0 1Gi ", "data-db2-12": "data-db-12 1Gi ", "write-ahead-log-db2-0": "write-ahead-log-db-0 1Gi ",
		},
	},
	"a StatefulSet whose name has dashes": {
		spec:     snapshotv1alpha1.NewClaims{ReplaceName: &snapshotv1alpha1.ReplaceName{StatefulSet: "my-db", With: "green-db"}},
		snapshot: snapshotOf(member("data-my-db-0", "1Gi", "")),
		want:     map[string]string{"data-green-db-0": "data-my-db-0 1Gi "},
	},
	"the size is the claim's where the snapshot needs less": {
		spec:     snapshotv1alpha1.NewClaims{Suffix: "-copy"},
		snapshot: snapshotOf(member("a", "5Gi", "1Gi")),
		want:     map[string]string{"a-copy": "a 5Gi "},
	},
	"the size is the snapshot's where it needs more": {
		spec:     snapshotv1alpha1.NewClaims{Suffix: "-copy"},
		snapshot: snapshotOf(member("a", "5Gi", "6Gi")),
		want:     map[string]string{"a-copy": "a 6Gi "},
	},
	"a restoreSize of 0 says nothing": {
		spec:     snapshotv1alpha1.NewClaims{Suffix: "-copy"},
		snapshot: snapshotOf(member("a", "5Gi", "0")),
		want:     map[string]string{"a-copy": "a 5Gi "},
	},
	"a size between what the snapshot needs and what the claim had": {
		spec:     snapshotv1alpha1.NewClaims{Claims: []snapshotv1alpha1.NewClaim{{From: "a", To: "x", Size: ptr.To(resource.MustParse("2Gi"))}}},
		snapshot: snapshotOf(member("a", "5Gi", "1Gi")),
		want:     map[string]string{"x": "a 2Gi "},
	},
	"a class for all, and another for one": {
		spec: snapshotv1alpha1.NewClaims{
			Suffix: "-copy", StorageClassName: "slow", Claims: []snapshotv1alpha1.NewClaim{{From: "a", StorageClassName: "fast"}},
		},
		snapshot: snapshotOf(member("a", "1Gi", ""), member("b", "1Gi", "")),
		want:     map[string]string{"a-copy": "a 1Gi fast", "b-copy": "b 1Gi slow"},
	},
	"the class is that of the old claim": {
		spec:     snapshotv1alpha1.NewClaims{Suffix: "-copy", Claims: []snapshotv1alpha1.NewClaim{{From: "b", StorageClassName: "slow"}}},
		snapshot: snapshotOf(ofClass(member("a", "1Gi", ""), "fast"), ofClass(member("b", "1Gi", ""), "fast")),
		want:     map[string]string{"a-copy": "a 1Gi fast", "b-copy": "b 1Gi slow"},
	},
	"a member without a snapshot is left out": {
		spec:     snapshotv1alpha1.NewClaims{Suffix: "-copy"},
		snapshot: snapshotOf(failed("a"), member("b", "1Gi", "")),
		want:     map[string]string{"b-copy": "b 1Gi "},
	},
}

func TestNewClaims(t *testing.T) {
	for name, tc := range plans {
		t.Run(name, func(t *testing.T) {
			claims, errs := NewClaims(&tc.spec, tc.snapshot)
			if len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			got := map[string]string{}
			for _, claim := range claims {
				got[claim.Name] = claim.From + " " + claim.Size.String() + " " + claim.StorageClassName
				if want := "snap-" + claim.From; claim.VolumeSnapshotName != want {
					t.Errorf("%s is made from %s, want %s", claim.Name, claim.VolumeSnapshotName, want)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

// halfReady is a snapshot with a member that failed.
var halfReady = snapshotOf(member("data-db-0", "5Gi", "4Gi"), failed("data-db-1"))

// one is a restore of one claim.
func one(claim snapshotv1alpha1.NewClaim) snapshotv1alpha1.NewClaims {
	return snapshotv1alpha1.NewClaims{Claims: []snapshotv1alpha1.NewClaim{claim}}
}

// refusedPlans are restores that cannot be done, each for one reason.
var refusedPlans = map[string]struct {
	spec     snapshotv1alpha1.NewClaims
	snapshot *snapshotv1alpha1.ApplicationSnapshot
	want     string
}{
	"a claim that is no member": {
		spec: one(snapshotv1alpha1.NewClaim{From: "other", To: "x"}), snapshot: halfReady,
		want: `spec.newClaims.claims[0].from: Unsupported value: "other": supported values: "data-db-0", "data-db-1"`,
	},
	"a member without a snapshot, by name": {
		spec: one(snapshotv1alpha1.NewClaim{From: "data-db-1", To: "x"}), snapshot: halfReady,
		want: `spec.newClaims.claims[0].from: Invalid value: "data-db-1": has no snapshot that is ready: Failed quota exceeded`,
	},
	"a size smaller than the snapshot": {
		spec: one(snapshotv1alpha1.NewClaim{From: "data-db-0", To: "x", Size: ptr.To(resource.MustParse("3Gi"))}), snapshot: halfReady,
		want: `spec.newClaims.claims[0].size: Invalid value: "3Gi": must be at least 4Gi`,
	},
	"a size of nothing where the storage system says nothing": {
		spec:     one(snapshotv1alpha1.NewClaim{From: "a", To: "x", Size: ptr.To(resource.MustParse("0"))}),
		snapshot: snapshotOf(member("a", "5Gi", "")),
		want:     `spec.newClaims.claims[0].size: Invalid value: "0": must be at least 5Gi`,
	},
	"no name": {
		spec: one(snapshotv1alpha1.NewClaim{From: "data-db-0"}), snapshot: halfReady,
		want: `spec.newClaims.claims[0].to: Required value: neither suffix nor replaceName gives the claim a name`,
	},
	"a name that is none": {
		spec: one(snapshotv1alpha1.NewClaim{From: "data-db-0", To: "Data_0"}), snapshot: halfReady,
		want: `spec.newClaims.claims[0].to: Invalid value: "Data_0"`,
	},
	"a suffix that makes the name too long": {
		spec:     snapshotv1alpha1.NewClaims{Suffix: "-copy"},
		snapshot: snapshotOf(member(strings.Repeat("a", 250), "1Gi", "")),
		want:     `must be no more than 253 characters`,
	},
	"another StatefulSet's claim": {
		spec:     snapshotv1alpha1.NewClaims{ReplaceName: &snapshotv1alpha1.ReplaceName{StatefulSet: "db", With: "db2"}},
		snapshot: snapshotOf(member("data-mydb-0", "1Gi", "")),
		want:     `spec.newClaims.replaceName.statefulSet: Invalid value: "db": the claim data-mydb-0 is not one of this StatefulSet`,
	},
	"a claim without an ordinal": {
		spec:     snapshotv1alpha1.NewClaims{ReplaceName: &snapshotv1alpha1.ReplaceName{StatefulSet: "db", With: "db2"}},
		snapshot: snapshotOf(member("data-db-x", "1Gi", "")),
		want:     `the claim data-db-x is not one of this StatefulSet`,
	},
	"two members into one claim": {
		spec:     snapshotv1alpha1.NewClaims{Claims: []snapshotv1alpha1.NewClaim{{From: "a", To: "x"}, {From: "b", To: "x"}}},
		snapshot: snapshotOf(member("a", "1Gi", ""), member("b", "1Gi", "")),
		want:     `spec.newClaims: Invalid value: "x": both a and b would be restored into this claim`,
	},
	"a snapshot that has nothing": {
		spec: snapshotv1alpha1.NewClaims{Suffix: "-copy"}, snapshot: snapshotOf(failed("a")),
		want: `spec.source.name: Invalid value: "db": no member of this snapshot is ready`,
	},
}

func TestNewClaimsRefused(t *testing.T) {
	for name, tc := range refusedPlans {
		t.Run(name, func(t *testing.T) {
			claims, errs := NewClaims(&tc.spec, tc.snapshot)
			if len(errs) != 1 || !strings.Contains(errs.ToAggregate().Error(), tc.want) {
				t.Errorf("errors are %v, want one with %q", errs, tc.want)
			}
			if len(claims) > 0 {
				t.Errorf("claims are %v beside an error, want none", claims)
			}
		})
	}
}

func TestEveryErrorOfNewClaimsIsTold(t *testing.T) {
	_, errs := NewClaims(&snapshotv1alpha1.NewClaims{Claims: []snapshotv1alpha1.NewClaim{
		{From: "other", To: "x"}, {From: "a", To: "Not A Name", Size: ptr.To(resource.MustParse("1"))},
	}}, snapshotOf(member("a", "1Gi", "")))
	if len(errs) != 3 {
		t.Errorf("%d errors, want 3: the unknown claim, the name and the size: %v", len(errs), errs)
	}
}
