// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	clocktesting "k8s.io/utils/clock/testing"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

const (
	gib  = int64(1) << 30
	pool = 100 * gib
)

var start = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// testCluster has three zones (a, b, c) of two racks (1, 2) of two storage nodes, named like a-1-x, and client, a node
// without storage.
func testCluster(t *testing.T) (*Cluster, *clocktesting.FakeClock) {
	t.Helper()
	clock := clocktesting.NewFakeClock(start)
	c, err := New(Options{Clock: clock, PoolCapacity: pool})
	if err != nil {
		t.Fatal(err)
	}
	for _, zone := range []string{"a", "b", "c"} {
		for _, rack := range []string{"1", "2"} {
			for _, suffix := range []string{"x", "y"} {
				name := zone + "-" + rack + "-" + suffix
				c.SetNode(name, nodeLabels(name, rack, zone), true)
			}
		}
	}
	c.SetNode("client", nodeLabels("client", "1", "a"), false)
	return c, clock
}

func nodeLabels(hostname, rack, zone string) map[string]string {
	return map[string]string{
		corev1.LabelHostname: hostname, RackLabel: rack, corev1.LabelTopologyZone: zone, corev1.LabelTopologyRegion: "r", "other": "label",
	}
}

func hostname(name string) Segments { return Segments{corev1.LabelHostname: name} }

func zone(name string) Segments { return Segments{corev1.LabelTopologyZone: name} }

func request(name string, replicas int) VolumeRequest {
	return VolumeRequest{Name: name, RequiredBytes: gib, Class: Class{Replicas: replicas, Access: AccessAny}}
}

func mustCreate(t *testing.T, c *Cluster, r VolumeRequest) Volume {
	t.Helper()
	v, err := c.CreateVolume(r)
	if err != nil {
		t.Fatalf("CreateVolume(%s): %v", r.Name, err)
	}
	return v
}

func nodesOf(v Volume) []string {
	var names []string
	for _, r := range v.Replicas {
		names = append(names, r.Node)
	}
	return names
}

// wantError checks an error's reason and that its message has all the words.
func wantError(t *testing.T, err error, reason Reason, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want %s", reason)
	}
	if got := ReasonOf(err); got != reason {
		t.Errorf("reason of %q = %s, want %s", err, got, reason)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

func TestParseClass(t *testing.T) {
	for name, tc := range map[string]struct {
		parameters map[string]string
		want       Class
		wantError  []string
	}{
		"nothing given is two replicas and any node": {want: Class{Replicas: 2, Access: AccessAny}},
		"both given":                                     {parameters: map[string]string{"replicas": "64", "access": "replicas"}, want: Class{Replicas: 64, Access: AccessReplicas}},
		"parameters of the sidecars are skipped":         {parameters: map[string]string{"csi.storage.k8s.io/pvc/name": "x"}, want: Class{Replicas: 2, Access: AccessAny}},
		"no replica":                                     {parameters: map[string]string{"replicas": "0"}, wantError: []string{"replicas", `"0"`, "1 to 64"}},
		"more replicas than a topology holds":            {parameters: map[string]string{"replicas": "65"}, wantError: []string{"replicas", `"65"`, "1 to 64"}},
		"replicas that are no number":                    {parameters: map[string]string{"replicas": "two"}, wantError: []string{"replicas", `"two"`}},
		"an access that does not exist":                  {parameters: map[string]string{"access": "All"}, wantError: []string{"access", `"All"`, `"any"`, `"replicas"`}},
		"a misspelt parameter is not a silent default":   {parameters: map[string]string{"replica": "3"}, wantError: []string{"replica", `"3"`, `"replicas"`, `"access"`}},
		"a parameter that only looks like the sidecars'": {parameters: map[string]string{"csi.storage": "3"}, wantError: []string{"csi.storage"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseClass(tc.parameters)
			if tc.wantError != nil {
				wantError(t, err, Invalid, tc.wantError...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("class (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHandleDoesNotTellTheName(t *testing.T) {
	c, _ := testCluster(t)
	v := mustCreate(t, c, request("pvc-123", 2))
	if !strings.HasPrefix(v.Handle, "vol-") || len(v.Handle) != len("vol-")+12 || strings.Contains(v.Handle, "pvc-123") {
		t.Errorf("handle = %q, want vol- and 12 hex digits", v.Handle)
	}
}

func TestCreateVolumeAgain(t *testing.T) {
	c, _ := testCluster(t)
	source := mustCreate(t, c, request("source", 1))
	original := request("v", 2)
	first := mustCreate(t, c, original)
	used := totalUsed(c)

	t.Run("the same request returns the same volume and takes no more room", func(t *testing.T) {
		if diff := cmp.Diff(first, mustCreate(t, c, original)); diff != "" {
			t.Errorf("volume (-first +second):\n%s", diff)
		}
		if got := totalUsed(c); got != used {
			t.Errorf("used = %d, want %d", got, used)
		}
	})
	for name, change := range map[string]func(*VolumeRequest){
		"a larger size":    func(r *VolumeRequest) { r.RequiredBytes = 2 * gib },
		"a smaller limit":  func(r *VolumeRequest) { r.RequiredBytes, r.LimitBytes = 1, 2 },
		"more replicas":    func(r *VolumeRequest) { r.Class.Replicas = 3 },
		"another access":   func(r *VolumeRequest) { r.Class.Access = AccessReplicas },
		"another source":   func(r *VolumeRequest) { r.Source.VolumeHandle = source.Handle },
		"a missing source": func(r *VolumeRequest) { r.Source.SnapshotID = "snap-none" },
	} {
		t.Run(name+" under the same name is refused", func(t *testing.T) {
			r := original
			change(&r)
			_, err := c.CreateVolume(r)
			wantError(t, err, Exists, `"v"`)
		})
	}
}

func TestCreateVolumeRefusesBadRequests(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*VolumeRequest)
		reason Reason
		words  []string
	}{
		"no name":             {func(r *VolumeRequest) { r.Name = "" }, Invalid, []string{"name"}},
		"a negative size":     {func(r *VolumeRequest) { r.RequiredBytes = -1 }, Invalid, []string{"required_bytes", "-1"}},
		"a negative limit":    {func(r *VolumeRequest) { r.LimitBytes = -1 }, Invalid, []string{"limit_bytes", "-1"}},
		"a limit below size":  {func(r *VolumeRequest) { r.LimitBytes = 1 }, Invalid, []string{"required_bytes", "limit_bytes"}},
		"an unknown segment":  {func(r *VolumeRequest) { r.Requirement.Requisite = []Segments{{"shelf": "7"}} }, Invalid, []string{"shelf", `"7"`, corev1.LabelHostname}},
		"a bad preference":    {func(r *VolumeRequest) { r.Requirement.Preferred = []Segments{{"shelf": "7"}} }, Invalid, []string{"shelf"}},
		"a source not there":  {func(r *VolumeRequest) { r.Source.VolumeHandle = "vol-none" }, NotFound, []string{"vol-none"}},
		"a snapshot not here": {func(r *VolumeRequest) { r.Source.SnapshotID = "snap-none" }, NotFound, []string{"snap-none"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := testCluster(t)
			r := request("v", 2)
			tc.change(&r)
			_, err := c.CreateVolume(r)
			wantError(t, err, tc.reason, tc.words...)
			if got := totalUsed(c); got != 0 {
				t.Errorf("used = %d after a refusal, want 0", got)
			}
		})
	}
}

func TestSizeWithoutARequest(t *testing.T) {
	c, _ := testCluster(t)
	r := request("v", 1)
	r.RequiredBytes = 0
	if got := mustCreate(t, c, r).SizeBytes; got != gib {
		t.Errorf("size = %d, want %d", got, gib)
	}
	r.Name, r.LimitBytes = "limited", 5
	if got := mustCreate(t, c, r).SizeBytes; got != 5 {
		t.Errorf("size under a limit = %d, want 5", got)
	}
}

func TestDeleteVolume(t *testing.T) {
	c, _ := testCluster(t)
	v := mustCreate(t, c, request("v", 3))
	if err := c.AttachVolume(Attach{Handle: v.Handle, Node: "client", Sharing: SingleNode}); err != nil {
		t.Fatal(err)
	}
	wantError(t, c.DeleteVolume(v.Handle), Precondition, "client")
	if err := c.DetachVolume(v.Handle, "client"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.DeleteVolume(v.Handle); err != nil {
			t.Fatal(err)
		}
	}
	if got := totalUsed(c); got != 0 {
		t.Errorf("used = %d after the volume is gone, want 0", got)
	}
	_, err := c.Volume(v.Handle)
	wantError(t, err, NotFound, v.Handle)
}

func TestExpandVolume(t *testing.T) {
	c, _ := testCluster(t)
	v := mustCreate(t, c, request("v", 2))
	grown, err := c.ExpandVolume(v.Handle, 10*gib, 0)
	if err != nil || grown.SizeBytes != 10*gib {
		t.Fatalf("ExpandVolume = %d, %v, want 10 GiB", grown.SizeBytes, err)
	}
	if got := totalUsed(c); got != 20*gib {
		t.Errorf("used = %d, want 20 GiB", got)
	}
	if same, err := c.ExpandVolume(v.Handle, gib, 0); err != nil || same.SizeBytes != 10*gib {
		t.Errorf("a smaller size gives %d, %v, want no change", same.SizeBytes, err)
	}
	_, err = c.ExpandVolume(v.Handle, pool+1, 0)
	wantError(t, err, OutOfRange, nodesOf(v)[0])
	_, err = c.ExpandVolume(v.Handle, 11*gib, 10*gib)
	wantError(t, err, OutOfRange, "limit_bytes")
}

func TestCapacity(t *testing.T) {
	c, _ := testCluster(t)
	r := request("v", 1)
	r.RequiredBytes, r.Requirement.Preferred = 60*gib, []Segments{hostname("a-1-x")}
	mustCreate(t, c, r)
	if err := c.SetNodeState("c-2-y", storagev1alpha1.StorageOffline, ""); err != nil {
		t.Fatal(err)
	}
	total := 10*pool + 40*gib // ten untouched pools and what is left of one

	for name, tc := range map[string]struct {
		class    Class
		segments Segments
		want     Capacity
	}{
		"a volume for any node may be placed anywhere":       {Class{2, AccessAny}, hostname("client"), Capacity{total / 2, pool}},
		"without a topology all pools count":                 {Class{1, AccessAny}, nil, Capacity{total, pool}},
		"with a replica on every node the fullest counts":    {Class{11, AccessAny}, nil, Capacity{total / 11, 40 * gib}},
		"more replicas than healthy nodes fit nowhere":       {Class{12, AccessAny}, nil, Capacity{}},
		"a volume for replica nodes needs room on this node": {Class{2, AccessReplicas}, hostname("a-1-x"), Capacity{40 * gib, 40 * gib}},
		"a zone has the room of its nodes":                   {Class{2, AccessReplicas}, zone("a"), Capacity{3*pool + 40*gib, pool}},
		"a node without a pool has none":                     {Class{2, AccessReplicas}, hostname("client"), Capacity{}},
		"a node that is offline has none":                    {Class{2, AccessReplicas}, hostname("c-2-y"), Capacity{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.Capacity(tc.class, tc.segments)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("capacity (-want +got):\n%s", diff)
			}
		})
	}
	_, err := c.Capacity(Class{1, AccessAny}, Segments{"shelf": "7"})
	wantError(t, err, Invalid, "shelf")
}

func TestEventsSayWhatChanged(t *testing.T) {
	c, _ := testCluster(t)
	var got []string
	c.Subscribe(func(e Event) { got = append(got, fmt.Sprint(e.Kind, " ", e.ID)) })
	v := mustCreate(t, c, request("v", 2))
	on := nodesOf(v)[0]
	steps := []error{
		c.AttachVolume(Attach{Handle: v.Handle, Node: on, Sharing: SingleNode}),
		c.DetachVolume(v.Handle, on),
		c.SetReplicaState(v.Handle, on, storagev1alpha1.ReplicaStale),
		c.SetNodeState(on, storagev1alpha1.StorageDown, "disk"),
		c.DeleteVolume(v.Handle),
	}
	for i, err := range steps {
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	c.SetNode("client", nodeLabels("client", "2", "a"), false) // no storage node, nobody's business
	c.SetNode("a-1-x", nodeLabels("a-1-x", "1", "a"), true)    // as it was
	c.SetNode("client", nodeLabels("client", "2", "a"), true)
	c.RemoveNode("client")
	c.SetPublisher(true)
	c.SetPublisher(false)
	c.SetPublisher(false)
	volumeEvent, nodeEvent := "Volume "+v.Handle, "Node "+on
	want := []string{
		volumeEvent, volumeEvent, volumeEvent, volumeEvent, nodeEvent, volumeEvent, "Node client", "Node client", "PublisherResumed ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestNewRefusesAnEmptyPool(t *testing.T) {
	_, err := New(Options{PoolCapacity: 0})
	wantError(t, err, Invalid, "pool capacity", "0")
}

func totalUsed(c *Cluster) int64 {
	total := int64(0)
	for _, n := range c.Nodes() {
		total += n.UsedBytes
	}
	return total
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }
