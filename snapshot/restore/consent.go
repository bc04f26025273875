// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

const everyNamespace = "*"

// referenceGrants is the list of https://gateway-api.sigs.k8s.io/api-types/referencegrant. It is read as it comes: the kind
// is optional, and nothing else of its module is needed.
var referenceGrants = schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1beta1", Kind: "ReferenceGrantList"}

// grant is the spec of a ReferenceGrant.
type grant struct {
	From []grantee `json:"from"`
	To   []granted `json:"to"`
}

// grantee is who may refer to something.
type grantee struct {
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
}

// granted is what may be referred to. Without a name it is all of that kind.
type granted struct {
	Group string  `json:"group"`
	Kind  string  `json:"kind"`
	Name  *string `json:"name,omitempty"`
}

// allowed says that the source's namespace lets the restore's read it: the snapshot names it, or a ReferenceGrant does.
func (s *Source) allowed(ctx context.Context, restore *snapshotv1alpha1.SnapshotRestore, snapshot *snapshotv1alpha1.ApplicationSnapshot) (bool, error) {
	if !CrossesNamespaces(restore) {
		return true, nil
	}
	if snapshot != nil {
		names := snapshot.Spec.AllowedNamespaces
		if slices.Contains(names, restore.Namespace) || slices.Contains(names, everyNamespace) {
			return true, nil
		}
	}
	return s.granted(ctx, restore)
}

func (s *Source) granted(ctx context.Context, restore *snapshotv1alpha1.SnapshotRestore) (bool, error) {
	key := SourceKey(restore)
	grants := &unstructured.UnstructuredList{}
	grants.SetGroupVersionKind(referenceGrants)
	switch err := s.Client.List(ctx, grants, client.InNamespace(key.Namespace)); {
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("listing the ReferenceGrants of %s: %w", key.Namespace, err)
	}
	for i := range grants.Items {
		spec, err := grantOf(&grants.Items[i])
		if err != nil {
			return false, err
		}
		if spec.allows(restore.Namespace, key.Name) {
			return true, nil
		}
	}
	return false, nil
}

func grantOf(object *unstructured.Unstructured) (*grant, error) {
	var typed struct {
		Spec grant `json:"spec"`
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &typed); err != nil {
		return nil, fmt.Errorf("reading the ReferenceGrant %s/%s: %w", object.GetNamespace(), object.GetName(), err)
	}
	return &typed.Spec, nil
}

func (g *grant) allows(namespace, snapshot string) bool {
	return slices.Contains(g.From, grantee{Group: snapshotv1alpha1.GroupVersion.Group, Kind: "SnapshotRestore", Namespace: namespace}) &&
		slices.ContainsFunc(g.To, func(to granted) bool {
			return to.Group == snapshotv1alpha1.GroupVersion.Group && to.Kind == "ApplicationSnapshot" && (to.Name == nil || *to.Name == "" || *to.Name == snapshot)
		})
}
