// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package all

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

// A client that does not know a kind answers that it is not served, as if the cluster did not have it; and one that looks
// for kinds asks for more than these paths.
func TestTheClientKnowsWhatDriversRead(t *testing.T) {
	var locked sync.Mutex
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		locked.Lock()
		defer locked.Unlock()
		encoding, _, _ := strings.Cut(r.Header.Get("Accept"), ",")
		asked = append(asked, r.URL.Path+" as "+encoding)
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	config := &rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/vnd.kubernetes.protobuf"}}
	apiClient, err := NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	fences, classes := &unstructured.UnstructuredList{}, &unstructured.UnstructuredList{}
	fences.SetGroupVersionKind(csiAddons.WithKind("NetworkFenceList"))
	classes.SetGroupVersionKind(csiAddons.WithKind("NetworkFenceClassList"))
	for _, list := range []client.ObjectList{
		&storagev1alpha1.VolumeTopologyList{}, &storagev1alpha1.StorageReportList{}, &storagev1alpha1.StorageNodeList{}, fences, classes,
	} {
		if err := apiClient.List(t.Context(), list); !apierrors.IsNotFound(err) {
			t.Errorf("listing %T: %v, want the answer of the API server, that it serves none", list, err)
		}
	}
	const encoding = " as application/json"
	want := []string{
		"/apis/storage.roost.dev/v1alpha1/volumetopologies" + encoding,
		"/apis/storage.roost.dev/v1alpha1/storagereports" + encoding,
		"/apis/storage.roost.dev/v1alpha1/storagenodes" + encoding,
		"/apis/csiaddons.openshift.io/v1alpha1/networkfences" + encoding,
		"/apis/csiaddons.openshift.io/v1alpha1/networkfenceclasses" + encoding,
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestTheClientNeedsToKnowWhereTheAPIServerIs(t *testing.T) {
	if _, err := NewClient(nil); err == nil {
		t.Error("made a client of nothing")
	}
}
