// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	clocktesting "k8s.io/utils/clock/testing"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
)

func TestNewWantsAllOfItsDependencies(t *testing.T) {
	complete := func() Options {
		w := newWorld()
		return Options{
			Informers: informers.NewSharedInformerFactory(nil, 0),
			Storage:   w,
			Usable:    func(string, string) bool { return true },
			PodGroups: &w.groups,
			Clock:     clocktesting.NewFakePassiveClock(now),
		}
	}
	for name, tc := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"complete":     {change: func(*Options) {}},
		"no informers": {change: func(o *Options) { o.Informers = nil }, want: "making a finder of candidates: informers is missing"},
		"no storage":   {change: func(o *Options) { o.Storage = nil }, want: "making a finder of candidates: storage is missing"},
		"no verdict":   {change: func(o *Options) { o.Usable = nil }, want: "making a finder of candidates: usable is missing"},
		"no reader and no clock": {
			change: func(o *Options) { o.PodGroups, o.Clock = nil, nil },
			want:   "making a finder of candidates: podGroups is missing\nclock is missing",
		},
	} {
		t.Run(name, func(t *testing.T) {
			options := complete()
			tc.change(&options)
			_, err := New(options)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// crowd puts one pod of every sort on node-1, besides db-0.
func crowd(w *world) {
	finished := makePod("succeeded", "node-1", "data")
	finished.Status.Phase = corev1.PodSucceeded
	failed := makePod("failed", "node-1", "data")
	failed.Status.Phase = corev1.PodFailed
	pending := makePod("a-pending", "node-1", "data")
	pending.Status.Phase = corev1.PodPending
	waiting := makePod("waiting", "", "data")
	elsewhere := makePod("elsewhere", "node-2", "data")
	w.pods = append(w.pods, finished, failed, pending, waiting, elsewhere,
		makePod("no-claims", "node-1"), makePod("not-ours", "node-1", "theirs"), makePod("both", "node-1", "theirs", "data", "more"))
	w.objects = append(w.objects,
		builders.MakeClaim("theirs").BoundTo("pv-theirs").Obj(), builders.MakePV("pv-theirs").CSI(other, "theirs").ClaimedBy("theirs").Obj(),
		builders.MakeClaim("more").BoundTo("pv-more").Obj(), builders.MakePV("pv-more").CSI(csi, "more").ClaimedBy("more").Obj())
}

func TestOnNodeListsThePodsThatUseTheProvisioner(t *testing.T) {
	w := newWorld()
	crowd(w)
	early := makePod("z", "node-1", "data")
	early.Namespace = "aaa"
	data := w.data.DeepCopy()
	data.Namespace = "aaa"
	w.pods, w.objects = append(w.pods, early), append(w.objects, data)
	found := w.onNode(t)
	// aaa/z has a claim of the class that has lost its PersistentVolume to default/data, and is told of all the same.
	want := []string{"aaa/z", "default/a-pending", "default/both", "default/db-0"}
	if diff := cmp.Diff(want, names(found)); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
	var volumes []string
	for _, v := range found[2].Volumes {
		volumes = append(volumes, v.ClaimName)
	}
	if diff := cmp.Diff([]string{"theirs", "data", "more"}, volumes); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
}

func TestOnNodeLooksNothingUpForANodeWithoutSuchPods(t *testing.T) {
	w := newWorld()
	w.db.Spec.NodeName = "node-2"
	w.pods = append(w.pods, makePod("no-claims", "node-1"))
	if found := w.onNode(t); len(found) != 0 {
		t.Errorf("candidates = %v, want none", names(found))
	}
	if w.located+w.reported+w.asked != 0 {
		t.Errorf("asked for %d locations, %d reports, %d verdicts, want none", w.located, w.reported, w.asked)
	}
}

func TestAVolumeIsLocatedOnceAPodAndAStorageAskedOnceANode(t *testing.T) {
	w := newWorld()
	for _, name := range []string{"db-1", "db-2", "db-3"} {
		w.pods = append(w.pods, makePod(name, "node-1", "data"))
	}
	if found := w.onNode(t); len(found) != 4 {
		t.Fatalf("candidates = %v, want 4", names(found))
	}
	if w.located != 4 || w.reported != 3 || w.asked != 2 {
		t.Errorf("asked for %d locations, %d reports, %d verdicts, want 4, 3, 2", w.located, w.reported, w.asked)
	}
}

func TestANodeThatDidNotFailHasNoNewcomers(t *testing.T) {
	w := newWorld()
	boundAt(w.db, now.Add(-time.Second))
	found, err := w.finder(t).OnNode(t.Context(), csi, "node-1", time.Time{})
	if err != nil {
		t.Fatalf("OnNode: %v", err)
	}
	if diff := cmp.Diff(Refusal{}, found[0].Refusal); diff != "" {
		t.Errorf("refusal (-want +got):\n%s", diff)
	}
}

// TestJudge has db-0 judged again after OnNode found that it may be moved, and the world change in between.
func TestJudge(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(w *world, live *corev1.Pod)
		want   string
	}{
		"nothing changed":                       {change: func(*world, *corev1.Pod) {}},
		"the node with the other copy failed":   {change: func(w *world, _ *corev1.Pod) { w.unusable["node-2"] = true }, want: OnlyCopy},
		"the other copy is behind":              {change: func(w *world, _ *corev1.Pod) { w.locations["data"].Replicas[1].State = drivers.Rebuilding }, want: OnlyCopy},
		"nobody knows any more":                 {change: func(w *world, _ *corev1.Pod) { w.locations["data"] = drivers.Answer{Knowledge: drivers.TooOld} }, want: LocationUnknown},
		"an operator holds the pod":             {change: func(_ *world, live *corev1.Pod) { annotate(live, "Disabled") }, want: FailoverDisabled},
		"it is another node's, whose copies do": {change: func(w *world, live *corev1.Pod) { live.Spec.NodeName = "node-3"; w.unusable["node-2"] = true }},
		"it is another node's, and held":        {change: func(_ *world, live *corev1.Pod) { live.Spec.NodeName = "node-3"; annotate(live, "Disabled") }, want: FailoverDisabled},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			finder, live := w.finder(t), w.db.DeepCopy()
			if found, err := finder.OnNode(t.Context(), csi, "node-1", failedSince); err != nil || !found[0].Movable() {
				t.Fatalf("OnNode = %+v, %v; want that it may be moved", found, err)
			}
			tc.change(w, live)
			got, err := finder.Judge(csi, "node-1", failedSince, live)
			if err != nil || got.Reason != tc.want {
				t.Errorf("Judge = %+v, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestInUse(t *testing.T) {
	w := newWorld()
	crowd(w)
	finder := w.finder(t)
	for name, tc := range map[string]struct {
		provisioner, node string
		pods, volumes     int
	}{
		"a volume that two pods share counts once": {csi, "node-1", 3, 2},
		"another provisioner":                      {other, "node-1", 2, 1},
		"another node":                             {csi, "node-2", 1, 1},
		"a node without pods":                      {csi, "node-3", 0, 0},
		"nobody's provisioner":                     {"csi.nobody.example.com", "node-1", 0, 0},
		"pods that wait for a node":                {csi, "", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			pods, volumes := finder.InUse(tc.provisioner, tc.node)
			if pods != tc.pods || volumes != tc.volumes {
				t.Errorf("InUse = %d pods, %d volumes, want %d, %d", pods, volumes, tc.pods, tc.volumes)
			}
		})
	}
}

func TestSharing(t *testing.T) {
	w := newWorld()
	crowd(w)
	lost := builders.MakeClaim("lost").BoundTo("pv-gone").Obj()
	w.objects = append(w.objects, lost)
	w.pods = append(w.pods, makePod("loser", "node-1", "lost"), deleting(makePod("going", "node-1", "data")))
	finder := w.finder(t)
	for name, tc := range map[string]struct {
		node, pv string
		want     []string
	}{
		"by name, with those that go and without the finished": {"node-1", "pv-data", []string{"a-pending", "both", "db-0", "going"}},
		"on another node":                     {"node-2", "pv-data", []string{"elsewhere"}},
		"another provisioner's":               {"node-1", "pv-theirs", []string{"both", "not-ours"}},
		"a PersistentVolume that is gone":     {"node-1", "pv-gone", []string{"loser"}},
		"a PersistentVolume that nobody uses": {"node-1", "pv-other", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, pod := range finder.Sharing(tc.node, tc.pv) {
				got = append(got, pod.Name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("pods (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheIndexForgetsPodsThatFinish(t *testing.T) {
	w := newWorld()
	finder := w.finder(t)
	finished := w.db.DeepCopy()
	finished.Status.Phase, finished.DeletionTimestamp = corev1.PodSucceeded, &metav1.Time{Time: now}
	if err := finder.pods.Update(finished); err != nil {
		t.Fatalf("updating the pod: %v", err)
	}
	if pods, volumes := finder.InUse(csi, "node-1"); pods != 0 || volumes != 0 {
		t.Errorf("InUse = %d pods, %d volumes, want none", pods, volumes)
	}
}
