// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func claim(namespace, name string, labels map[string]string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
}

// readerOf follows claims, with and without an index of namespaces, and StorageClasses as served says.
func readerOf(t *testing.T, indexers cache.Indexers, served bool, objects ...client.Object) *Reader {
	t.Helper()
	claims := cache.NewIndexer(cache.MetaNamespaceKeyFunc, indexers)
	classes := cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)
	for _, object := range objects {
		into := claims
		if _, ok := object.(*storagev1.StorageClass); ok {
			into = classes
		}
		if err := into.Add(object); err != nil {
			t.Fatal(err)
		}
	}
	r := NewReader(clientscheme.Scheme)
	for _, err := range []error{
		r.Follow(&corev1.PersistentVolumeClaim{}, Kind{Indexer: claims}),
		r.Follow(&storagev1.StorageClass{}, Kind{Indexer: classes, Served: func() bool { return served }}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestGet(t *testing.T) {
	r := readerOf(t, nil, true, claim("db", "data", map[string]string{"app": "db"}), &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}})
	var got corev1.PersistentVolumeClaim
	if err := r.Get(t.Context(), client.ObjectKey{Namespace: "db", Name: "data"}, &got); err != nil {
		t.Fatal(err)
	}
	got.Labels["app"] = "changed"
	var again corev1.PersistentVolumeClaim
	if err := r.Get(t.Context(), client.ObjectKey{Namespace: "db", Name: "data"}, &again); err != nil || again.Labels["app"] != "db" {
		t.Errorf("after a reader changed its copy: %v, %v", again.Labels, err)
	}
	var class storagev1.StorageClass
	if err := r.Get(t.Context(), client.ObjectKey{Name: "fast"}, &class); err != nil || class.Name != "fast" {
		t.Errorf("a cluster-scoped object: %q, %v", class.Name, err)
	}
	err := r.Get(t.Context(), client.ObjectKey{Namespace: "other", Name: "data"}, &got)
	if !apierrors.IsNotFound(err) || !strings.Contains(err.Error(), `persistentvolumeclaims "data" not found`) {
		t.Errorf("one of another namespace: %v", err)
	}
}

func TestList(t *testing.T) {
	objects := []client.Object{
		claim("db", "a", map[string]string{"app": "x"}), claim("db", "b", nil), claim("web", "a", map[string]string{"app": "x"}),
	}
	for name, tc := range map[string]struct {
		options []client.ListOption
		want    []string
	}{
		"all":                        {want: []string{"db/a", "db/b", "web/a"}},
		"a namespace":                {options: []client.ListOption{client.InNamespace("db")}, want: []string{"db/a", "db/b"}},
		"labels":                     {options: []client.ListOption{client.MatchingLabels{"app": "x"}}, want: []string{"db/a", "web/a"}},
		"labels in a namespace":      {options: []client.ListOption{client.InNamespace("web"), client.MatchingLabels{"app": "x"}}, want: []string{"web/a"}},
		"a namespace without claims": {options: []client.ListOption{client.InNamespace("none")}},
	} {
		for index, indexers := range map[string]cache.Indexers{
			"by index": {cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}, "by looking at all": nil,
		} {
			t.Run(name+", "+index, func(t *testing.T) {
				var list corev1.PersistentVolumeClaimList
				if err := readerOf(t, indexers, true, objects...).List(t.Context(), &list, tc.options...); err != nil {
					t.Fatal(err)
				}
				var got []string
				for i := range list.Items {
					got = append(got, list.Items[i].Namespace+"/"+list.Items[i].Name)
				}
				slices.Sort(got)
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("claims (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// A list that silently gave too much, or nothing, would be taken for the truth.
func TestListOfWhatIsOnlyRead(t *testing.T) {
	kept := claim("db", "data", map[string]string{"app": "db"})
	r := readerOf(t, nil, true, kept)
	for name, tc := range map[string]struct {
		options []client.ListOption
		shared  bool
	}{"copied": {}, "not copied": {options: []client.ListOption{client.UnsafeDisableDeepCopy}, shared: true}} {
		t.Run(name, func(t *testing.T) {
			var list corev1.PersistentVolumeClaimList
			if err := r.List(t.Context(), &list, tc.options...); err != nil || len(list.Items) != 1 {
				t.Fatalf("%d claims, %v", len(list.Items), err)
			}
			list.Items[0].Labels["app"] = name
			if shared := kept.Labels["app"] == name; shared != tc.shared {
				t.Errorf("shared: %t, want %t", shared, tc.shared)
			}
		})
	}
}

func TestWhatIsNotAnswered(t *testing.T) {
	r := readerOf(t, nil, false)
	var classes storagev1.StorageClassList
	if err := r.List(t.Context(), &classes); !meta.IsNoMatchError(err) {
		t.Errorf("a kind that is not served: %v", err)
	}
	if err := r.Get(t.Context(), client.ObjectKey{Name: "fast"}, &storagev1.StorageClass{}); !meta.IsNoMatchError(err) {
		t.Errorf("an object of a kind that is not served: %v", err)
	}
	if err := r.List(t.Context(), &corev1.PodList{}); err == nil || !strings.Contains(err.Error(), "is not followed") {
		t.Errorf("a kind that is not followed: %v", err)
	}
	var claims corev1.PersistentVolumeClaimList
	if err := r.List(t.Context(), &claims, client.MatchingFields{"a": "b"}); err == nil {
		t.Error("a selector of fields was passed over")
	}
	if err := r.List(t.Context(), &claims, client.Limit(1)); err == nil {
		t.Error("a limit was passed over")
	}
	if err := r.Follow(&corev1.PersistentVolumeClaim{}, Kind{}); err == nil {
		t.Error("a kind was followed twice")
	}
}
