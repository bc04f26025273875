// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package pools

import (
	"fmt"
	"math"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var fitTests = map[string]struct {
	objects []*storagev1.CSIStorageCapacity
	node    map[string]string
	sizes   []int64
	want    bool
}{
	"one claim that fits":      {objects: onA("10Gi"), sizes: []int64{10}, want: true},
	"one that does not":        {objects: onA("10Gi"), sizes: []int64{11}},
	"two that fit together":    {objects: onA("10Gi"), sizes: []int64{5, 5}, want: true},
	"two that fit only alone":  {objects: onA("10Gi"), sizes: []int64{6, 5}},
	"no room at all":           {objects: onA("0"), sizes: []int64{1}},
	"negative room is no room": {objects: onA("-5Gi"), sizes: []int64{1}},
	"a claim that asks for nothing needs none": {
		objects: onA("-5Gi"), sizes: []int64{0}, want: true,
	},
	"the largest volume bounds each claim": {
		objects: []*storagev1.CSIStorageCapacity{atMost(capacity("a", hostname("a"), "10Gi"), "4Gi")}, sizes: []int64{5},
	},
	"and not their sum": {
		objects: []*storagev1.CSIStorageCapacity{atMost(capacity("a", hostname("a"), "10Gi"), "4Gi")}, sizes: []int64{4, 4}, want: true,
	},
	"only the largest volume is told: the sum is not known": {
		objects: []*storagev1.CSIStorageCapacity{atMost(capacity("a", hostname("a"), ""), "4Gi")}, sizes: []int64{4, 4, 4}, want: true,
	},
	"only the largest volume is told, and one is larger": {
		objects: []*storagev1.CSIStorageCapacity{atMost(capacity("a", hostname("a"), ""), "4Gi")}, sizes: []int64{4, 5},
	},
	"a volume of the largest size has room, whatever the capacity says": {
		objects: []*storagev1.CSIStorageCapacity{atMost(capacity("a", hostname("a"), "1Gi"), "4Gi")}, sizes: []int64{4}, want: true,
	},
	"nothing is told": {objects: []*storagev1.CSIStorageCapacity{capacity("a", hostname("a"), "")}, sizes: []int64{1}},
	"the node has no pool: others say so": {
		objects: []*storagev1.CSIStorageCapacity{capacity("b", hostname("b"), "1Gi")}, sizes: []int64{9}, want: true,
	},
	"a pool without topology is nowhere": {
		objects: []*storagev1.CSIStorageCapacity{capacity("a", hostname("a"), "1Gi"), reaching(capacity("x", nil, "9Gi"), nil)}, sizes: []int64{2},
	},
	"a pool whose topology cannot be read is nowhere": {
		objects: []*storagev1.CSIStorageCapacity{capacity("a", hostname("a"), "1Gi"), reaching(capacity("x", nil, "9Gi"), &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: corev1.LabelHostname, Operator: "Resembles", Values: []string{"a"}}},
		})}, sizes: []int64{2},
	},
	"a pool with an empty topology is everywhere": {
		objects: []*storagev1.CSIStorageCapacity{reaching(capacity("x", nil, "9Gi"), &metav1.LabelSelector{})}, sizes: []int64{10},
	},
	"a pool of several nodes by an expression": {
		objects: []*storagev1.CSIStorageCapacity{reaching(capacity("x", nil, "9Gi"), &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: corev1.LabelHostname, Operator: metav1.LabelSelectorOpIn, Values: []string{"a", "b"}}},
		})}, sizes: []int64{10},
	},
	"all labels must match": {
		objects: []*storagev1.CSIStorageCapacity{capacity("x", map[string]string{corev1.LabelHostname: "a", "row": "7"}, "1Gi")}, sizes: []int64{2}, want: true,
	},
	"they do": {
		objects: []*storagev1.CSIStorageCapacity{capacity("x", map[string]string{corev1.LabelHostname: "a", "row": "7"}, "1Gi")},
		node:    map[string]string{corev1.LabelHostname: "a", "row": "7"}, sizes: []int64{2},
	},
	"pools of different labels are found each by its own": {
		objects: []*storagev1.CSIStorageCapacity{capacity("a", hostname("a"), "1Gi"), capacity("row", map[string]string{"row": "7"}, "2Gi")},
		node:    map[string]string{corev1.LabelHostname: "a", "row": "7"}, sizes: []int64{2, 1}, want: true,
	},
	"each claim to the pool that takes it": {
		objects: []*storagev1.CSIStorageCapacity{capacity("a1", hostname("a"), "3Gi"), capacity("a2", hostname("a"), "5Gi")}, sizes: []int64{3, 5}, want: true,
	},
	"no pool takes the second": {
		objects: []*storagev1.CSIStorageCapacity{capacity("a1", hostname("a"), "3Gi"), capacity("a2", hostname("a"), "5Gi")}, sizes: []int64{4, 4},
	},
	"another class's pools do not count": {
		objects: []*storagev1.CSIStorageCapacity{capacity("a", hostname("a"), "1Gi"), ofClass("slow", capacity("x", hostname("a"), "9Gi"))}, sizes: []int64{2},
	},
}

// onA is a pool of the node "a".
func onA(size string) []*storagev1.CSIStorageCapacity {
	return []*storagev1.CSIStorageCapacity{capacity("a", hostname("a"), size)}
}

func ofClass(class string, object *storagev1.CSIStorageCapacity) *storagev1.CSIStorageCapacity {
	object.StorageClassName = class
	return object
}

func TestFits(t *testing.T) {
	for name, tc := range fitTests {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			for _, object := range tc.objects {
				s.PutPool(object)
			}
			if tc.node != nil {
				s.nodes["a"] = tc.node
			}
			if got := s.fits("a", tc.sizes...); got != tc.want {
				t.Errorf("claims of %d GiB fit: %t, want %t", tc.sizes, got, tc.want)
			}
		})
	}
}

// inTreeFits is what VolumeBinding finds for one claim, see capacitySufficient in its binder.
func inTreeFits(object *storagev1.CSIStorageCapacity, bytes int64) bool {
	limit := object.Capacity
	if object.MaximumVolumeSize != nil {
		limit = object.MaximumVolumeSize
	}
	return limit != nil && limit.Value() >= bytes
}

func TestOneClaimAloneIsJudgedAsInTree(t *testing.T) {
	for _, room := range []string{"", "-1", "0", "1Gi", "4Gi", "9E"} {
		for _, largest := range []string{"", "-1", "0", "1Gi", "4Gi", "9E"} {
			object := capacity("a", hostname("a"), room)
			if largest != "" {
				atMost(object, largest)
			}
			s := newScene(t)
			s.PutPool(object)
			for _, bytes := range []int64{1, gib, gib + 1, 4 * gib, 5 * gib, math.MaxInt64} {
				got := s.Request(fast, []Claim{{UID: "x", Bytes: bytes}}).Fits(s.nodes["a"])
				if want := inTreeFits(object, bytes); got != want {
					t.Errorf("capacity %q, largest %q: a claim of %d bytes fits: %t, in-tree %t", room, largest, bytes, got, want)
				}
			}
		}
	}
}

func TestTwoHundredClaims(t *testing.T) {
	s := newScene(t)
	s.PutPool(capacity("a1", hostname("a"), "100Gi"))
	s.PutPool(capacity("a2", hostname("a"), "100Gi"))
	s.PutPool(capacity("b", hostname("b"), "8E"))
	var many, huge []Claim
	for i := range 200 {
		many = append(many, Claim{UID: types.UID(fmt.Sprint(i)), Bytes: gib})
		huge = append(huge, Claim{UID: types.UID(fmt.Sprint(i)), Bytes: 5_000_000_000_000_000_000})
	}
	if !s.Request(fast, many).Fits(s.nodes["a"]) {
		t.Error("200 claims of 1 GiB do not fit in two pools of 100 GiB")
	}
	if s.Request(fast, append(many, Claim{UID: "one-more", Bytes: 1})).Fits(s.nodes["a"]) {
		t.Error("and one more does")
	}
	if s.Request(fast, huge).Fits(s.nodes["b"]) || s.Request(fast, huge).Fits(s.nodes["a"]) {
		t.Error("200 claims of 5 EB fit in 8: their sum has turned into a small number")
	}
	if !s.Assume("pod", "a", s.Request(fast, many)) {
		t.Fatal("200 claims were promised nothing")
	}
	s.wantFree("once promised", "a1", 0)
	s.wantFree("once promised", "a2", 0)
}

func TestVolumesThatAreThereAlready(t *testing.T) {
	s := newScene(t)
	s.PutPool(capacity("a", hostname("a"), "1Gi"))
	pv := func(name, size string) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{
			StorageClassName: fast, Capacity: capacityList(size),
		}}
	}
	check := func(when string, want bool) {
		t.Helper()
		if got := s.fits("a", 5, 5); got != want {
			t.Errorf("%s: claims that the pool is too small for pass: %t, want %t", when, got, want)
		}
	}
	check("no volume is there", false)
	s.PutVolume(pv("small", "1Gi"))
	check("a volume is there that is too small for any", false)
	s.PutVolume(pv("large", "7Gi"))
	check("VolumeBinding may bind one", true)
	taken := pv("large", "7Gi")
	taken.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "x", Name: "x", UID: "x"}
	s.PutVolume(taken)
	check("somebody else has claimed it", false)
	reserved := pv("reserved", "7Gi")
	reserved.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "x", Name: "x"}
	s.PutVolume(reserved)
	check("one is kept for a claim, perhaps this one", true)
	s.RemoveVolume(fast, "reserved")
	check("it is gone", false)
	s.RemoveVolume(fast, "small")
	s.RemoveVolume("no-such-class", "small")
	s.RemovePool("csi/a")
	s.wantNothingLeft()
}

func capacityList(size string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceStorage: *capacity("", nil, size).Capacity}
}

func TestGrown(t *testing.T) {
	for name, tc := range map[string]struct {
		before, after *storagev1.CSIStorageCapacity
		want          bool
	}{
		"the same":           {before: capacity("a", nil, "1Gi"), after: capacity("a", nil, "1Gi")},
		"less":               {before: capacity("a", nil, "2Gi"), after: capacity("a", nil, "1Gi")},
		"more":               {before: capacity("a", nil, "1Gi"), after: capacity("a", nil, "2Gi"), want: true},
		"the first number":   {before: capacity("a", nil, ""), after: capacity("a", nil, "0"), want: true},
		"no number any more": {before: capacity("a", nil, "1Gi"), after: capacity("a", nil, "")},
		"a larger volume in no more room": {
			before: atMost(capacity("a", nil, "9Gi"), "1Gi"), after: atMost(capacity("a", nil, "9Gi"), "2Gi"), want: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Grown(tc.before, tc.after); got != tc.want {
				t.Errorf("Grown = %t, want %t", got, tc.want)
			}
		})
	}
}
