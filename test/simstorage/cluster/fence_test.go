// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

// fenceCluster has a volume with replicas on a-1-x and b-1-x that is attached to and published on a-1-x.
func fenceCluster(t *testing.T) (c *Cluster, handle string) {
	t.Helper()
	c, _ = testCluster(t)
	r := request("v", 2)
	r.Requirement.Preferred = []Segments{hostname("a-1-x"), hostname("b-1-x")}
	r.Requirement.Requisite = r.Requirement.Preferred
	handle = mustCreate(t, c, r).Handle
	attach(t, c, handle, "a-1-x")
	published(t, c, Attach{Handle: handle, Node: "a-1-x", Sharing: SingleNode})
	return c, handle
}

func published(t *testing.T, c *Cluster, a Attach) {
	t.Helper()
	if err := c.PublishVolume(a); err != nil {
		t.Fatal(err)
	}
}

func succeed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantFenced(t *testing.T, c *Cluster, handle string, want ...string) {
	t.Helper()
	v, err := c.Volume(handle)
	succeed(t, err)
	if diff := cmp.Diff(append([]string{}, want...), v.Fenced); diff != "" {
		t.Errorf("fenced (-want +got):\n%s", diff)
	}
}

func TestAutomaticFences(t *testing.T) {
	state := func(node string, state storagev1alpha1.StorageState) func(*Cluster, string) error {
		return func(c *Cluster, _ string) error { return c.SetNodeState(node, state, "") }
	}
	cutOff := func(c *Cluster, _ string) error { return c.SetCutOff("a-1-x", true) }
	for name, tc := range map[string]struct {
		steps []func(c *Cluster, handle string) error
		want  []string
	}{
		"a node that is cut off is fenced":              {[]func(*Cluster, string) error{cutOff}, []string{"a-1-x"}},
		"a node that is Offline is fenced":              {[]func(*Cluster, string) error{state("a-1-x", storagev1alpha1.StorageOffline)}, []string{"a-1-x"}},
		"a node whose own disks are down is not":        {[]func(*Cluster, string) error{state("a-1-x", storagev1alpha1.StorageDown)}, nil},
		"a node that the volume is not on is not":       {[]func(*Cluster, string) error{state("b-1-x", storagev1alpha1.StorageOffline)}, nil},
		"the holder of the last usable copy is not":     {[]func(*Cluster, string) error{state("b-1-x", storagev1alpha1.StorageDown), cutOff}, nil},
		"it is when the other copy becomes usable":      {[]func(*Cluster, string) error{state("b-1-x", storagev1alpha1.StorageDown), cutOff, state("b-1-x", storagev1alpha1.StorageOnline)}, []string{"a-1-x"}},
		"the only replica that is in sync is not":       {[]func(*Cluster, string) error{stale, cutOff}, nil},
		"it is when another comes in sync":              {[]func(*Cluster, string) error{stale, cutOff, inSync}, []string{"a-1-x"}},
		"nobody is when fencing is Manual":              {[]func(*Cluster, string) error{manual, cutOff}, nil},
		"it is when fencing becomes Automatic":          {[]func(*Cluster, string) error{manual, cutOff, automatic}, []string{"a-1-x"}},
		"where it is published without being attached":  {[]func(*Cluster, string) error{detachFirst, cutOff}, []string{"a-1-x"}},
		"a fence stays when the other copy fails later": {[]func(*Cluster, string) error{cutOff, stale}, []string{"a-1-x"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, handle := fenceCluster(t)
			for _, step := range tc.steps {
				succeed(t, step(c, handle))
			}
			wantFenced(t, c, handle, tc.want...)
		})
	}
}

func stale(c *Cluster, handle string) error {
	return c.SetReplicaState(handle, "b-1-x", storagev1alpha1.ReplicaStale)
}

func inSync(c *Cluster, handle string) error {
	return c.SetReplicaState(handle, "b-1-x", storagev1alpha1.ReplicaInSync)
}

func manual(c *Cluster, _ string) error { return c.SetFencing(FencingManual) }

func automatic(c *Cluster, _ string) error { return c.SetFencing(FencingAutomatic) }

func detachFirst(c *Cluster, handle string) error { return c.DetachVolume(handle, "a-1-x") }

func TestFenceLetsGoOfANodeThatIsCutOff(t *testing.T) {
	c, handle := fenceCluster(t)
	setCutOff(t, c, "a-1-x", true)
	detach(t, c, handle, "a-1-x")
	attach(t, c, handle, "b-1-x")
	published(t, c, Attach{Handle: handle, Node: "b-1-x", Sharing: SingleNode})
	if got := c.Violations(); len(got) != 0 {
		t.Errorf("violations = %v, want none: the first node is fenced", got)
	}
	wantFenced(t, c, handle, "a-1-x")
}

func TestAForcedDetachOfAFencedNodeLeavesNothingUnconfirmed(t *testing.T) {
	for name, fenceBefore := range map[string]bool{"fenced before": true, "fenced after": false} {
		t.Run(name, func(t *testing.T) {
			c, handle := fenceCluster(t)
			c.UnpublishVolume(handle, "a-1-x")
			setFencing(t, c, FencingManual)
			setCutOff(t, c, "a-1-x", true)
			if fenceBefore {
				succeed(t, c.Fence(handle, "a-1-x"))
			}
			succeed(t, c.ForceDetach(handle, "a-1-x"))
			succeed(t, c.Fence(handle, "a-1-x"))
			attach(t, c, handle, "b-1-x")
			if got := c.Violations(); len(got) != 0 {
				t.Errorf("violations = %v, want none", got)
			}
		})
	}
}

func TestAFenceLastsUntilTheNodeIsBackAndLetGo(t *testing.T) {
	c, handle := fenceCluster(t)
	setCutOff(t, c, "a-1-x", true)
	setCutOff(t, c, "a-1-x", false)
	wantFenced(t, c, handle, "a-1-x")
	wantError(t, c.AttachVolume(Attach{Handle: handle, Node: "a-1-x", Sharing: SingleNode}), Precondition, handle, "fenced", "a-1-x")
	detach(t, c, handle, "a-1-x")
	wantFenced(t, c, handle, "a-1-x") // the process is still there
	wantError(t, c.AttachVolume(Attach{Handle: handle, Node: "a-1-x", Sharing: SingleNode}), Precondition, "published")
	c.UnpublishVolume(handle, "a-1-x")
	wantFenced(t, c, handle)
	attach(t, c, handle, "a-1-x")
}

func TestAFenceStaysWhileTheNodeIsAway(t *testing.T) {
	c, handle := fenceCluster(t)
	setCutOff(t, c, "a-1-x", true)
	c.UnpublishVolume(handle, "a-1-x")
	detach(t, c, handle, "a-1-x")
	wantFenced(t, c, handle, "a-1-x")
	succeed(t, c.SetNodeState("a-1-x", storagev1alpha1.StorageOffline, ""))
	setCutOff(t, c, "a-1-x", false)
	wantFenced(t, c, handle, "a-1-x") // Offline yet
	succeed(t, c.SetNodeState("a-1-x", storagev1alpha1.StorageOnline, ""))
	wantFenced(t, c, handle)
}

func TestANodeThatIsGoneIsNotFenced(t *testing.T) {
	c, handle := fenceCluster(t)
	setCutOff(t, c, "a-1-x", true)
	c.RemoveNode("a-1-x")
	wantFenced(t, c, handle)
}

func TestFenceByHand(t *testing.T) {
	c, handle := fenceCluster(t)
	other := mustCreate(t, c, request("other", 2)).Handle
	setFencing(t, c, FencingManual)
	wantError(t, c.Fence("vol-none", "a-1-x"), NotFound, "vol-none")
	wantError(t, c.Fence(handle, "nowhere"), NotFound, "nowhere")
	wantError(t, c.Unfence(handle, "nowhere"), NotFound, "nowhere")
	wantError(t, c.Fence(handle, "c-1-x"), Precondition, handle, "c-1-x", "neither attached")
	for range 2 {
		succeed(t, c.Fence(handle, "a-1-x"))
	}
	wantFenced(t, c, handle, "a-1-x")
	wantFenced(t, c, other)
	for range 2 {
		succeed(t, c.Unfence(handle, "a-1-x"))
	}
	wantFenced(t, c, handle)
	wantError(t, c.SetFencing("Sometimes"), Invalid, `"Sometimes"`, "Automatic or Manual")
}

func TestUnfenceDoesNotWithstandAutomaticFencing(t *testing.T) {
	c, handle := fenceCluster(t)
	setCutOff(t, c, "a-1-x", true)
	wantError(t, c.Unfence(handle, "a-1-x"), Precondition, handle, "a-1-x", "Manual")
	wantFenced(t, c, handle, "a-1-x")
	setFencing(t, c, FencingManual)
	succeed(t, c.Unfence(handle, "a-1-x"))
	wantError(t, c.DetachVolume(handle, "a-1-x"), Unavailable, "cut off")
}

func TestFencesAreEventsOfTheVolumeAndOfNoOther(t *testing.T) {
	c, handle := fenceCluster(t)
	mustCreate(t, c, request("other", 2))
	var got []Event
	c.Subscribe(func(e Event) { got = append(got, e) })
	setCutOff(t, c, "a-1-x", true)
	setCutOff(t, c, "a-1-x", true)
	want := []Event{{NodeChanged, "a-1-x"}, {VolumeChanged, handle}, {NodeChanged, "a-1-x"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestReport(t *testing.T) {
	for name, tc := range map[string]struct {
		node        Node
		wantState   storagev1alpha1.StorageState
		wantMessage string
	}{
		"what was set":           {Node{Name: "n", State: storagev1alpha1.StorageDown, Message: "disk"}, storagev1alpha1.StorageDown, "disk"},
		"a node that is cut off": {Node{Name: "n", State: storagev1alpha1.StorageDown, Message: "disk", CutOff: true}, storagev1alpha1.StorageOffline, "n is cut off: the other nodes do not hear from it"},
	} {
		t.Run(name, func(t *testing.T) {
			state, message := tc.node.Report()
			if state != tc.wantState || message != tc.wantMessage {
				t.Errorf("report = %s %q, want %s %q", state, message, tc.wantState, tc.wantMessage)
			}
		})
	}
}
