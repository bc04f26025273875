// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/internal/builders"
	"roost.dev/roost/snapshot/groupapi"
	"roost.dev/roost/snapshot/snapshottest"
)

const (
	disk = "disk.csi.example.com"
	nfs  = "nfs.csi.example.com"
)

func class(name, driver string, isDefault bool) client.Object {
	class := &snapshotv1.VolumeSnapshotClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Driver: driver, DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete}
	if isDefault {
		class.Annotations = map[string]string{AnnotationDefaultClass: "true"}
	}
	return class
}

func groupClass(version, name, driver string, isDefault bool) client.Object {
	class := snapshottest.GroupObject(version, "VolumeGroupSnapshotClass", name)
	class.Object["driver"] = driver
	if isDefault {
		class.SetAnnotations(map[string]string{groupapi.AnnotationDefaultClass: "true"})
	}
	return class
}

func bound(name, driver string, labels map[string]string) []client.Object {
	claim := builders.MakeClaim(name).Class("fast").BoundTo("pv-" + name).Obj()
	claim.Labels = labels
	claim.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("2Gi")}
	return []client.Object{claim, builders.MakePV("pv-"+name).CSI(driver, "handle-"+name).ClaimedBy(name).Obj()}
}

// objects are claims in all states, and a default class for each driver.
func objects() []client.Object {
	db := map[string]string{"app": "db"}
	lost, going := builders.MakeClaim("lost").Obj(), builders.MakeClaim("going").BoundTo("pv-x").Deleting(metav1.NewTime(start)).Obj()
	lost.Status.Phase = corev1.ClaimLost
	slow := bound("slow", disk, nil)
	slow[0].(*corev1.PersistentVolumeClaim).Spec.StorageClassName = new(string)
	all := []client.Object{
		class("gold", disk, true), class("silver", disk, false), class("shared", nfs, true),
		builders.MakeClaim("pending").Obj(), lost, going,
		builders.MakeClaim("local").BoundTo("pv-local").Obj(), builders.MakePV("pv-local").ClaimedBy("local").Obj(),
		builders.MakeClaim("stolen").BoundTo("pv-stolen").Obj(), builders.MakePV("pv-stolen").CSI(disk, "x").ClaimedBy("another").Obj(),
		builders.MakeClaim("noclass").BoundTo("pv-noclass").Obj(), builders.MakePV("pv-noclass").CSI("rare.csi.example.com", "y").ClaimedBy("noclass").Obj(),
	}
	for _, more := range [][]client.Object{bound("a", disk, db), bound("b", disk, db), bound("share", nfs, db), slow} {
		all = append(all, more...)
	}
	return all
}

var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func checker(t *testing.T, groupVersion string, objects ...client.Object) *Checker {
	t.Helper()
	api := snapshottest.NewAPI(snapshottest.NewClock(start), groupVersion, objects...)
	c, err := New(Options{Client: api, Memory: api})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func snapshot(spec snapshotv1alpha1.ApplicationSnapshotSpec) *snapshotv1alpha1.ApplicationSnapshot {
	return &snapshotv1alpha1.ApplicationSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: builders.Namespace, Name: "nightly"}, Spec: spec}
}

func names(claims ...string) snapshotv1alpha1.ApplicationSnapshotSpec {
	return snapshotv1alpha1.ApplicationSnapshotSpec{ClaimNames: claims}
}

func matching(selector metav1.LabelSelector) snapshotv1alpha1.ApplicationSnapshotSpec {
	return snapshotv1alpha1.ApplicationSnapshotSpec{Selector: &selector}
}

func with(spec snapshotv1alpha1.ApplicationSnapshotSpec, change func(*snapshotv1alpha1.ApplicationSnapshotSpec)) snapshotv1alpha1.ApplicationSnapshotSpec {
	change(&spec)
	return spec
}

func in(mode snapshotv1alpha1.Mode) func(*snapshotv1alpha1.ApplicationSnapshotSpec) {
	return func(spec *snapshotv1alpha1.ApplicationSnapshotSpec) { spec.Mode = mode }
}

// summary is a plan in words.
func summary(plan *Plan) []string {
	var words []string
	for i := range plan.Members {
		member := &plan.Members[i]
		words = append(words, fmt.Sprintf("%s %s %s", member.ClaimName, member.VolumeSnapshotClassName, member.State))
	}
	for _, left := range plan.LeftOut {
		words = append(words, "left out: "+left.Reason)
	}
	return words
}

func TestPlans(t *testing.T) {
	db := metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}
	for name, tc := range map[string]struct {
		spec snapshotv1alpha1.ApplicationSnapshotSpec
		want []string
	}{
		"claims by name, in order":           {names("b", "a"), []string{"a gold Planned", "b gold Planned"}},
		"a class for each driver":            {matching(db), []string{"a gold Planned", "b gold Planned", "share shared Planned"}},
		"a class that is named":              {with(names("a"), func(s *snapshotv1alpha1.ApplicationSnapshotSpec) { s.VolumeSnapshotClassName = "silver" }), []string{"a silver Planned"}},
		"expressions of a selector":          {matching(metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpExists}}}), []string{"a gold Planned", "b gold Planned", "share shared Planned"}},
		"a selector, narrowed to a class":    {with(matching(metav1.LabelSelector{}), func(s *snapshotv1alpha1.ApplicationSnapshotSpec) { s.StorageClassNames = []string{"fast"} }), []string{"a gold Planned", "b gold Planned", "share shared Planned"}},
		"named and not there, in BestEffort": {with(names("a", "pending", "ghost"), in(snapshotv1alpha1.ModeBestEffort)), []string{"a gold Planned", "ghost  Failed", "pending  Failed"}},
		"all claims, in BestEffort": {with(matching(metav1.LabelSelector{}), in(snapshotv1alpha1.ModeBestEffort)), []string{
			"a gold Planned", "b gold Planned", "local  Failed", "noclass  Failed", "share shared Planned", "slow gold Planned",
			"left out: claim going is being deleted", "left out: claim lost is Lost, not Bound", "left out: claim pending is Pending, not Bound",
			"left out: claim stolen is bound to PersistentVolume pv-stolen, which is not bound to it",
		}},
		"a group of one driver": {with(names("a", "b"), in(snapshotv1alpha1.ModeGroup)), []string{"a  Planned", "b  Planned"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := checker(t, "v1beta2", append(objects(), groupClass("v1beta2", "group-gold", disk, true), groupClass("v1beta2", "other", nfs, true))...)
			plan, err := c.Check(t.Context(), snapshot(tc.spec))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, summary(plan)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			if tc.spec.Mode == snapshotv1alpha1.ModeGroup && plan.GroupClassName != "group-gold" {
				t.Errorf("group class is %q, want the default one of the driver", plan.GroupClassName)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	none := metav1.LabelSelector{MatchLabels: map[string]string{"app": "none"}}
	for name, tc := range map[string]struct {
		spec   snapshotv1alpha1.ApplicationSnapshotSpec
		more   []client.Object
		groups string
		reason string
		says   []string
	}{
		"a claim that does not exist":    {spec: names("ghost"), reason: ReasonClaimNotFound, says: []string{"spec.claimNames", "ghost"}},
		"a claim that is pending":        {spec: names("a", "pending"), reason: ReasonClaimNotBound, says: []string{"pending is Pending"}},
		"a claim that is going":          {spec: names("going"), reason: ReasonClaimNotBound, says: []string{"going is being deleted"}},
		"a claim of another's volume":    {spec: names("stolen"), reason: ReasonClaimNotBound, says: []string{"pv-stolen", "not bound to it"}},
		"a claim that no CSI driver has": {spec: names("local"), reason: ReasonNotSnapshottable, says: []string{"local", "only CSI"}},
		"everything at once":             {spec: names("ghost", "pending", "local"), reason: ReasonSeveralProblems, says: []string{"ghost", "pending", "local"}},
		"a driver without a class":       {spec: names("noclass"), reason: ReasonNoClass, says: []string{"rare.csi.example.com has no default class", "there are no classes"}},
		"two default classes":            {spec: names("a"), more: []client.Object{class("bronze", disk, true)}, reason: ReasonNoClass, says: []string{"2 default classes, not one: bronze, gold"}},
		"a class that does not exist": {
			spec:   with(names("a"), func(s *snapshotv1alpha1.ApplicationSnapshotSpec) { s.VolumeSnapshotClassName = "lead" }),
			reason: ReasonNoClass, says: []string{"spec.volumeSnapshotClassName", `"lead"`, "gold, silver"},
		},
		"a class of another driver": {
			spec:   with(names("a"), func(s *snapshotv1alpha1.ApplicationSnapshotSpec) { s.VolumeSnapshotClassName = "shared" }),
			reason: ReasonNoClass, says: []string{`"shared" is of CSI driver nfs`},
		},
		"a selector that takes nothing":         {spec: matching(none), reason: ReasonNoMatchingPVCs, says: []string{"app=none", "default"}},
		"a selector that cannot be read":        {spec: matching(metav1.LabelSelector{MatchLabels: map[string]string{"-": "-"}}), reason: ReasonInvalid, says: []string{"spec.selector"}},
		"a selector that takes what no one can": {spec: matching(metav1.LabelSelector{}), reason: ReasonSeveralProblems, says: []string{"local", "noclass"}},
		"nothing that can be taken, in BestEffort": {
			spec: with(names("ghost", "local"), in(snapshotv1alpha1.ModeBestEffort)), reason: ReasonNotSnapshottable, says: []string{"ghost", "local"},
		},
		"a group of two drivers": {
			spec: with(names("a", "share"), in(snapshotv1alpha1.ModeGroup)), groups: "v1", reason: ReasonMixedDrivers, says: []string{"disk.csi.example.com, nfs.csi.example.com"},
		},
		"a group without its kinds": {spec: with(names("a"), in(snapshotv1alpha1.ModeGroup)), reason: ReasonCRDsMissing, says: []string{"VolumeGroupSnapshots"}},
		"a group without a class":   {spec: with(names("a"), in(snapshotv1alpha1.ModeGroup)), groups: "v1", reason: ReasonNoClass, says: []string{"spec.volumeGroupSnapshotClassName"}},
		"a quota": {
			spec: names("a", "b"), more: []client.Object{quota(quotaSnapshots, "5", "4")}, reason: ReasonQuotaExceeded, says: []string{"tight", "5", "needs 2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := checker(t, tc.groups, append(objects(), tc.more...)...).Check(t.Context(), snapshot(tc.spec))
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("error is %v, want problems", err)
			}
			if got := problems.Reason(); got != tc.reason {
				t.Errorf("reason is %s, want %s: %v", got, tc.reason, err)
			}
			for _, want := range tc.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("it says %q, want %q in it", err, want)
				}
			}
		})
	}
}

// restoring is a claim that restore undo replaces the volume of.
func restoring(name string) []client.Object {
	objects := bound(name, disk, map[string]string{"app": "db"})
	objects[0].SetAnnotations(map[string]string{snapshotv1alpha1.AnnotationRestoring: "undo"})
	return objects
}

// temporary is a claim behind which restore undo makes a volume.
func temporary(name string) []client.Object {
	objects := bound(name, disk, map[string]string{snapshotv1alpha1.LabelRestore: "uid-undo", snapshotv1alpha1.LabelTemporary: "true"})
	objects[0].SetAnnotations(map[string]string{snapshotv1alpha1.AnnotationRestoredBy: "undo"})
	return objects
}

func TestClaimsOfRestoresStandInTheWay(t *testing.T) {
	for name, tc := range map[string]struct {
		spec   snapshotv1alpha1.ApplicationSnapshotSpec
		more   []client.Object
		reason string
		says   string
	}{
		"one that is being restored": {spec: names("a", "back"), more: restoring("back"), reason: ReasonRestoring, says: "claim back is being restored in place by SnapshotRestore undo"},
		"one of a selector, in BestEffort, that is being restored": {
			spec: with(matching(metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}), in(snapshotv1alpha1.ModeBestEffort)),
			more: restoring("back"), reason: ReasonRestoring, says: "claim back",
		},
		"one that is temporary, by its name": {spec: names("temp"), more: temporary("temp"), reason: ReasonClaimNotBound, says: "claim temp is temporary, and belongs to SnapshotRestore undo"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := checker(t, "", append(objects(), tc.more...)...).Check(t.Context(), snapshot(tc.spec))
			var problems Problems
			if !errors.As(err, &problems) || problems.Reason() != tc.reason || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error is %v, want %s with %q", err, tc.reason, tc.says)
			}
		})
	}
}

func TestSnapshotsAndRestores(t *testing.T) {
	all := matching(metav1.LabelSelector{})
	objects := append([]client.Object{class("gold", disk, true)}, bound("a", disk, nil)...)
	own := func(restore string) func(*snapshotv1alpha1.ApplicationSnapshot) {
		return func(s *snapshotv1alpha1.ApplicationSnapshot) {
			s.Labels = map[string]string{snapshotv1alpha1.LabelRestore: "uid-" + restore}
			s.Annotations = map[string]string{snapshotv1alpha1.AnnotationRestoredBy: restore}
		}
	}
	for name, tc := range map[string]struct {
		more   []client.Object
		change func(*snapshotv1alpha1.ApplicationSnapshot)
		want   []string
	}{
		"a claim that a restore made": {
			more: bound("copy", disk, map[string]string{snapshotv1alpha1.LabelRestore: "uid-undo"}), want: []string{"a gold Planned", "copy gold Planned"},
		},
		"a temporary claim is left out":                  {more: temporary("temp"), want: []string{"a gold Planned", "left out: claim temp is temporary, and belongs to SnapshotRestore undo"}},
		"the snapshot that a restore takes before":       {more: restoring("back"), change: own("undo"), want: []string{"a gold Planned", "back gold Planned"}},
		"the snapshot that another restore takes before": {more: restoring("back"), change: own("other")},
		"a snapshot that only says that it is a restore's": {more: restoring("back"), change: func(s *snapshotv1alpha1.ApplicationSnapshot) {
			s.Annotations = map[string]string{snapshotv1alpha1.AnnotationRestoredBy: "undo"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := snapshot(all)
			if tc.change != nil {
				tc.change(s)
			}
			plan, err := checker(t, "", append(objects, tc.more...)...).Check(t.Context(), s)
			if tc.want == nil {
				if err == nil {
					t.Error("no problem")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, summary(plan)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// What the status has no room for the API server refuses, and the whole snapshot with it.
func TestAMemberFitsIntoTheStatus(t *testing.T) {
	labels := map[string]string{}
	for i := range maxLabels + 6 {
		labels[fmt.Sprintf("label-%02d", i)] = "x"
	}
	claims := bound("a", disk, labels)
	long := strings.Repeat("ü", maxMemberMessage)
	plan, err := checker(t, "", append(claims, class("gold", disk, true))...).Check(t.Context(), snapshot(with(names("a", long), in(snapshotv1alpha1.ModeBestEffort))))
	if err != nil {
		t.Fatal(err)
	}
	if got := plan.Members[0].Labels; len(got) != maxLabels || got["label-63"] != "x" || len(claims[0].GetLabels()) != maxLabels+6 {
		t.Errorf("%d labels, want the first %d, and those of the claim left alone", len(got), maxLabels)
	}
	if got := plan.Members[1].Message; len(got) > maxMemberMessage || !utf8.ValidString(got) || !strings.HasPrefix(got, "spec.claimNames: claim ü") {
		t.Errorf("message has %d bytes: %q", len(got), got)
	}
}

func quota(resourceName corev1.ResourceName, hard, used string) client.Object {
	return &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: builders.Namespace, Name: "tight"},
		Status: corev1.ResourceQuotaStatus{
			Hard: corev1.ResourceList{resourceName: resource.MustParse(hard)}, Used: corev1.ResourceList{resourceName: resource.MustParse(used)},
		},
	}
}

func TestQuotaWithRoom(t *testing.T) {
	for name, tc := range map[string]struct {
		spec  snapshotv1alpha1.ApplicationSnapshotSpec
		quota client.Object
	}{
		"just enough":                {names("a", "b"), quota(quotaSnapshots, "5", "3")},
		"one place, in BestEffort":   {with(names("a", "b"), in(snapshotv1alpha1.ModeBestEffort)), quota(quotaSnapshots, "5", "4")},
		"of something else":          {names("a", "b"), quota("count/pods", "1", "1")},
		"of groups, without a group": {names("a", "b"), quota(quotaGroupSnapshots, "0", "0")},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := checker(t, "", append(objects(), tc.quota)...).Check(t.Context(), snapshot(tc.spec)); err != nil {
				t.Errorf("error %v, want none", err)
			}
		})
	}
}

func TestOneHundredClaimsAndNotOneMore(t *testing.T) {
	all := []client.Object{class("gold", disk, true)}
	for i := range MaxMembers + 1 {
		all = append(all, bound(fmt.Sprintf("claim-%03d", i), disk, map[string]string{"hundred": fmt.Sprint(i < MaxMembers)})...)
	}
	c := checker(t, "", all...)
	plan, err := c.Check(t.Context(), snapshot(matching(metav1.LabelSelector{MatchLabels: map[string]string{"hundred": "true"}})))
	if err != nil || len(plan.Members) != MaxMembers {
		t.Fatalf("error %v, want %d members", err, MaxMembers)
	}
	_, err = c.Check(t.Context(), snapshot(matching(metav1.LabelSelector{})))
	var problems Problems
	if !errors.As(err, &problems) || problems.Reason() != ReasonTooManyClaims || !strings.Contains(err.Error(), "101") {
		t.Errorf("error is %v, want %s that says 101", err, ReasonTooManyClaims)
	}
}

func TestMember(t *testing.T) {
	objects := objects()
	claim := objects[12].(*corev1.PersistentVolumeClaim)
	claim.Labels[LabelGroupRun+"0123"] = "cut"
	block := corev1.PersistentVolumeBlock
	claim.Spec.VolumeMode = &block
	plan, err := checker(t, "", objects...).Check(t.Context(), snapshot(names(claim.Name, "slow")))
	if err != nil {
		t.Fatal(err)
	}
	capacity := resource.MustParse("2Gi")
	want := snapshotv1alpha1.SnapshotMember{
		ClaimName: "a", ClaimUID: "a", Driver: disk, VolumeSnapshotClassName: "gold", State: snapshotv1alpha1.MemberPlanned,
		Capacity: &capacity, StorageClassName: "fast", AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		VolumeMode: corev1.PersistentVolumeBlock, Labels: map[string]string{"app": "db"},
	}
	if diff := cmp.Diff(want, plan.Members[0]); diff != "" {
		t.Errorf("member (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{disk: 2}, Load(plan.Members)); diff != "" {
		t.Errorf("load (-want +got):\n%s", diff)
	}
}

// TestClaimThatMemoryDoesNotHaveYet asks the API server.
func TestClaimThatMemoryDoesNotHaveYet(t *testing.T) {
	c := checker(t, "", objects()...)
	without := objects()
	c.Memory = snapshottest.NewAPI(snapshottest.NewClock(start), "", append(without[:12:12], without[13:]...)...)
	if _, err := c.Check(t.Context(), snapshot(names("a"))); err != nil {
		t.Errorf("error %v, want none", err)
	}
}
