// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/client"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// A kind that is always looked for costs one request where it is not served, and no search for what is.
func TestTheSnapshotClientSearchesForNothingThatItKnows(t *testing.T) {
	var locked sync.Mutex
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		locked.Lock()
		defer locked.Unlock()
		asked = append(asked, r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	reader, err := newSnapshotClient(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []client.ObjectList{
		&snapshotv1alpha1.ApplicationSnapshotList{}, &snapshotv1.VolumeSnapshotList{}, &corev1.PersistentVolumeClaimList{},
	} {
		if err := reader.List(t.Context(), list); !apierrors.IsNotFound(err) {
			t.Errorf("listing %T: %v, want the answer of the API server, that it serves none", list, err)
		}
	}
	locked.Lock()
	got := slices.Clone(asked)
	locked.Unlock()
	want := []string{
		"/apis/snapshot.roost.dev/v1alpha1/applicationsnapshots", "/apis/snapshot.storage.k8s.io/v1/volumesnapshots", "/api/v1/persistentvolumeclaims",
	}
	if !slices.Equal(got, want) {
		t.Errorf("asked for %v, want %v", got, want)
	}
	group := schema.GroupKind{Group: "groupsnapshot.storage.k8s.io", Kind: "VolumeGroupSnapshot"}
	if _, err := reader.RESTMapper().RESTMapping(group, "v1"); !meta.IsNoMatchError(err) {
		t.Errorf("a kind that is looked for, and not served: %v", err)
	}
}

// A failover shares its limit of requests with nobody who takes a thousand snapshots.
func TestSnapshotsHaveTheirOwnLimitOfRequests(t *testing.T) {
	shared := &rest.Config{RateLimiter: flowcontrol.NewFakeAlwaysRateLimiter()}
	own := snapshotConnection(shared, &managerv1alpha1.Snapshots{QPS: 7, Burst: 9})
	if own.RateLimiter == shared.RateLimiter || own.RateLimiter.QPS() != 7 {
		t.Errorf("limit of %v a second, want one of its own of 7", own.RateLimiter.QPS())
	}
}
