// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package nodewatch

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/fake"

	"roost.dev/roost/test/simstorage/cluster"
)

func node(name string, labels map[string]string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Status:     corev1.NodeStatus{Images: []corev1.ContainerImage{{Names: []string{"large"}}}},
	}
}

func TestWatch(t *testing.T) {
	storage := map[string]string{StorageLabel: "true", corev1.LabelHostname: "h"}
	client := fake.NewClientset(
		node("with-pool", storage),
		node("no-label", map[string]string{corev1.LabelHostname: "h"}),
		node("said-no", map[string]string{StorageLabel: "false", corev1.LabelHostname: "h"}),
		node("no-hostname", map[string]string{StorageLabel: "true"}),
	)
	model, err := cluster.New(cluster.Options{PoolCapacity: 1})
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := New(client, model)
	if err != nil {
		t.Fatal(err)
	}
	if watcher.HasSynced() {
		t.Error("synced before it runs")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		watcher.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})

	want := map[string]bool{"with-pool": true, "no-label": false, "said-no": false, "no-hostname": false}
	wantNodes(t, model, want)
	if !watcher.HasSynced() {
		wantEventually(t, watcher.HasSynced, func() string { return "never synced" })
	}

	nodes := client.CoreV1().Nodes()
	for _, step := range []func() error{
		func() error {
			_, err := nodes.Create(ctx, node("late", storage), metav1.CreateOptions{})
			return err
		},
		func() error {
			_, err := nodes.Update(ctx, node("no-label", storage), metav1.UpdateOptions{})
			return err
		},
		func() error { return nodes.Delete(ctx, "with-pool", metav1.DeleteOptions{}) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	wantNodes(t, model, map[string]bool{"late": true, "no-label": true, "said-no": false, "no-hostname": false})
}

func wantNodes(t *testing.T, model *cluster.Cluster, want map[string]bool) {
	t.Helper()
	diff := ""
	wantEventually(t, func() bool {
		got := map[string]bool{}
		for _, n := range model.Nodes() {
			got[n.Name] = n.Storage
		}
		diff = cmp.Diff(want, got)
		return diff == ""
	}, func() string { return "storage nodes (-want +got):\n" + diff })
}

func wantEventually(t *testing.T, condition func() bool, explain func() string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		return condition(), nil
	})
	if err != nil {
		t.Fatal(explain())
	}
}

func TestKeepLabels(t *testing.T) {
	got, err := keepLabels(node("n", map[string]string{"a": "b"}))
	if err != nil {
		t.Fatal(err)
	}
	want := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"a": "b"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("node (-want +got):\n%s", diff)
	}
	if got, err := keepLabels("not a node"); err != nil || got != "not a node" {
		t.Errorf("keepLabels of something else = %v, %v", got, err)
	}
}
