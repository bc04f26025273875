// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/test/simstorage/cluster"
	"roost.dev/roost/test/simstorage/content"
)

const gib = int64(1) << 30

// serve starts the admin API of a model with the storage nodes n1 and n2 and one volume attached to n1.
func serve(t *testing.T) (client *Client, model *cluster.Cluster, v cluster.Volume, address string) {
	t.Helper()
	model, err := cluster.New(cluster.Options{
		Clock: clocktesting.NewFakePassiveClock(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)), PoolCapacity: 10 * gib,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"n1", "n2"} {
		model.SetNode(name, map[string]string{corev1.LabelHostname: name}, true)
	}
	v, err = model.CreateVolume(cluster.VolumeRequest{Name: "pvc-1", RequiredBytes: gib, Class: cluster.Class{Replicas: 2, Access: cluster.AccessAny}})
	if err != nil {
		t.Fatal(err)
	}
	if err := model.AttachVolume(cluster.Attach{Handle: v.Handle, Node: "n1", Sharing: cluster.SingleNode}); err != nil {
		t.Fatal(err)
	}
	store, err := content.Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	listener, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- NewServer(model, store, func() map[string]int64 { return map[string]int64{"CreateVolume": 3} }).Serve(ctx, listener)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	address = listener.Addr().String()
	return NewClient(address), model, v, address
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func TestReadState(t *testing.T) {
	client, model, v, _ := serve(t)
	snapshot := must[cluster.Snapshot](t)(model.CreateSnapshot("s", v.Handle))
	group := must[cluster.GroupSnapshot](t)(model.CreateGroupSnapshot("g", []string{v.Handle}))
	volumes := must[[]Volume](t)(client.Volumes(t.Context()))
	if diff := cmp.Diff(model.Volumes(), []cluster.Volume{volumes[0].Volume}); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
	if want := filepath.Join("data", "volumes", v.Handle); !strings.HasSuffix(volumes[0].Directory, want) {
		t.Errorf("directory = %s, want %s below it", volumes[0].Directory, want)
	}
	if volumes[0].Name != "pvc-1" || len(volumes[0].Replicas) != 2 || volumes[0].Attached[0] != "n1" {
		t.Errorf("volume = %+v", volumes[0])
	}
	if diff := cmp.Diff(model.Nodes(), must[[]cluster.Node](t)(client.Nodes(t.Context()))); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	directories := map[string]string{}
	for _, s := range must[[]Snapshot](t)(client.Snapshots(t.Context())) {
		directories[s.ID] = filepath.Base(s.Directory)
	}
	member := group.Snapshots[0].ID
	if diff := cmp.Diff(map[string]string{snapshot.ID: snapshot.ID, member: member}, directories); diff != "" {
		t.Errorf("snapshots and their directories (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]cluster.GroupSnapshot{group}, must[[]cluster.GroupSnapshot](t)(client.GroupSnapshots(t.Context()))); diff != "" {
		t.Errorf("group snapshots (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int64{"CreateVolume": 3}, must[map[string]int64](t)(client.Calls(t.Context()))); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if got := must[[]cluster.Violation](t)(client.Violations(t.Context())); len(got) != 0 {
		t.Errorf("violations = %v, want none", got)
	}
}

func TestInjectFaults(t *testing.T) {
	client, model, v, _ := serve(t)
	ctx := t.Context()
	snapshots := SnapshotFault{
		Volumes: []string{v.Handle}, Fail: true, CutDelay: metav1.Duration{Duration: time.Second},
		Delay: metav1.Duration{Duration: time.Minute}, Skew: metav1.Duration{Duration: -time.Hour}, NoSize: true,
	}
	for name, err := range map[string]error{
		"SetNodeState":    client.SetNodeState(ctx, "n2", storagev1alpha1.StorageDown, "disk gone"),
		"SetCutOff":       client.SetCutOff(ctx, "n1", true),
		"SetReplicaState": client.SetReplicaState(ctx, v.Handle, "n2", storagev1alpha1.ReplicaStale),
		"SetAPI":          client.SetAPI(ctx, true, 2*time.Second),
		"SetPublisher":    client.SetPublisher(ctx, true),
		"SetSnapshots":    client.SetSnapshots(ctx, snapshots),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	n1, _ := model.Node("n1")
	n2, _ := model.Node("n2")
	if !n1.CutOff || n2.State != storagev1alpha1.StorageDown || n2.Message != "disk gone" {
		t.Errorf("nodes = %+v, %+v", n1, n2)
	}
	want := Faults{
		API:       APIFault{Down: true, Delay: metav1.Duration{Duration: 2 * time.Second}},
		Publisher: PublisherFault{Silent: true},
		Snapshots: snapshots,
	}
	if diff := cmp.Diff(want, must[Faults](t)(client.Faults(ctx))); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	replicas := func() map[string]storagev1alpha1.ReplicaState {
		states := map[string]storagev1alpha1.ReplicaState{}
		for _, replica := range must[cluster.Volume](t)(model.Volume(v.Handle)).Replicas {
			states[replica.Node] = replica.State
		}
		return states
	}
	if diff := cmp.Diff(map[string]storagev1alpha1.ReplicaState{"n1": "InSync", "n2": "Stale"}, replicas()); diff != "" {
		t.Errorf("replicas (-want +got):\n%s", diff)
	}
	if err := client.LoseReplica(ctx, v.Handle, "n2"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]storagev1alpha1.ReplicaState{"n1": "InSync"}, replicas()); diff != "" {
		t.Errorf("replicas after a loss (-want +got):\n%s", diff)
	}
}

func TestViolationIsReadable(t *testing.T) {
	client, model, v, _ := serve(t)
	ctx := t.Context()
	for _, err := range []error{
		client.SetFencing(ctx, cluster.FencingManual),
		client.SetCutOff(ctx, "n1", true),
		client.ForceDetach(ctx, v.Handle, "n1"),
		model.AttachVolume(cluster.Attach{Handle: v.Handle, Node: "n2", Sharing: cluster.SingleNode}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got := must[[]cluster.Violation](t)(client.Violations(ctx))
	if diff := cmp.Diff(model.Violations(), got); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
	if len(got) != 1 || got[0].Handle != v.Handle {
		t.Errorf("violations = %v, want one of volume %s", got, v.Handle)
	}
}

func TestFencing(t *testing.T) {
	client, model, v, _ := serve(t)
	ctx := t.Context()
	wantFenced := func(want []string) {
		t.Helper()
		if diff := cmp.Diff(want, must[cluster.Volume](t)(model.Volume(v.Handle)).Fenced); diff != "" {
			t.Errorf("fenced (-want +got):\n%s", diff)
		}
	}
	for _, step := range []struct {
		do   func() error
		want []string
	}{
		{func() error { return client.SetFencing(ctx, cluster.FencingManual) }, []string{}},
		{func() error { return client.SetCutOff(ctx, "n1", true) }, []string{}},
		{func() error { return client.SetFence(ctx, v.Handle, "n1", true) }, []string{"n1"}},
		{func() error { return client.SetFence(ctx, v.Handle, "n1", false) }, []string{}},
		{func() error { return client.SetFencing(ctx, cluster.FencingAutomatic) }, []string{"n1"}},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		wantFenced(step.want)
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	client, _, v, _ := serve(t)
	ctx := t.Context()
	for name, tc := range map[string]struct {
		err   error
		words []string
	}{
		"a state that does not exist":   {client.SetNodeState(ctx, "n1", "Broken", ""), []string{`"Broken"`, "Online"}},
		"a node that does not exist":    {client.SetCutOff(ctx, "nowhere", true), []string{"nowhere"}},
		"a name that is no path":        {client.SetCutOff(ctx, "a/../b?", true), []string{`"a/../b?"`}},
		"a volume that does not exist":  {client.SetReplicaState(ctx, "vol-none", "n1", "Stale"), []string{"vol-none"}},
		"a replica that is not there":   {client.LoseReplica(ctx, v.Handle, "n9"), []string{"n9"}},
		"an attachment not there":       {client.ForceDetach(ctx, v.Handle, "n2"), []string{"n2", "not attached"}},
		"a way of fencing not known":    {client.SetFencing(ctx, "Sometimes"), []string{"mode", `"Sometimes"`, "Automatic or Manual"}},
		"a fence from a node not there": {client.SetFence(ctx, v.Handle, "n9", true), []string{`"n9"`}},
		"a delay that goes back":        {client.SetAPI(ctx, false, -time.Second), []string{"delay", "-1s"}},
		"a snapshot delay of that kind": {client.SetSnapshots(ctx, SnapshotFault{Delay: metav1.Duration{Duration: -time.Second}}), []string{"delay", "-1s"}},
		"nobody listens":                {NewClient("127.0.0.1:1").SetPublisher(ctx, true), []string{"asking simstorage"}},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.err == nil {
				t.Fatal("got no error")
			}
			for _, word := range tc.words {
				if !strings.Contains(tc.err.Error(), word) {
					t.Errorf("error %q does not say %q", tc.err, word)
				}
			}
		})
	}
}

func TestBadRequests(t *testing.T) {
	_, model, _, address := serve(t)
	for name, tc := range map[string]struct {
		method, path, body string
		wantCode           int
	}{
		"an unknown field":     {http.MethodPut, "/faults/api", `{"donw": true}`, http.StatusBadRequest},
		"a body that is empty": {http.MethodPut, "/faults/api", ``, http.StatusBadRequest},
		"a delay of no unit":   {http.MethodPut, "/faults/api", `{"delay": "fast"}`, http.StatusBadRequest},
		"an unknown path":      {http.MethodGet, "/fault", ``, http.StatusNotFound},
		"a method of no use":   {http.MethodPost, "/volumes", ``, http.StatusMethodNotAllowed},
		"an unknown node":      {http.MethodPut, "/nodes/n9/cut-off", `{"cutOff": true}`, http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			request := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), tc.method, "http://"+address+tc.path, strings.NewReader(tc.body)))
			response := must[*http.Response](t)(http.DefaultClient.Do(request))
			defer response.Body.Close()
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != tc.wantCode {
				t.Errorf("code = %d (%s), want %d", response.StatusCode, body, tc.wantCode)
			}
		})
	}
	if diff := cmp.Diff(cluster.Faults{}, model.Faults()); diff != "" {
		t.Errorf("faults after bad requests (-want +got):\n%s", diff)
	}
}

func TestListenIsForLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "example.com:80", "192.0.2.1:0", "127.0.0.1"} {
		if listener, err := Listen(address); err == nil {
			_ = listener.Close()
			t.Errorf("listened on %s", address)
		} else if !strings.Contains(err.Error(), address) {
			t.Errorf("error %q does not name %s", err, address)
		}
	}
}
