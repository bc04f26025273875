// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy"
)

// binding is a ClusterRoleBinding, or a RoleBinding with its namespace.
type binding struct {
	name      string
	namespace string
	roleRef   rbacv1.RoleRef
	subjects  []rbacv1.Subject
}

func bindings(objects []runtime.Object) []binding {
	var found []binding
	for _, b := range all[*rbacv1.ClusterRoleBinding](objects) {
		found = append(found, binding{name: b.Name, roleRef: b.RoleRef, subjects: b.Subjects})
	}
	for _, b := range all[*rbacv1.RoleBinding](objects) {
		found = append(found, binding{name: b.Name, namespace: b.Namespace, roleRef: b.RoleRef, subjects: b.Subjects})
	}
	return found
}

// rulesOf gives the rules of the role that a binding names, which is ours or one that Kubernetes makes at start.
func rulesOf(t *testing.T, objects []runtime.Object, b binding) []rbacv1.PolicyRule {
	t.Helper()
	clusterRoles, roles := bootstrappolicy.ClusterRoles(), bootstrappolicy.NamespaceRoles()[b.namespace]
	for _, role := range all[*rbacv1.ClusterRole](objects) {
		clusterRoles = append(clusterRoles, *role)
	}
	for _, role := range all[*rbacv1.Role](objects) {
		if role.Namespace == b.namespace {
			roles = append(slices.Clone(roles), *role)
		}
	}
	switch b.roleRef.Kind {
	case "ClusterRole":
		for _, role := range clusterRoles {
			if role.Name == b.roleRef.Name {
				return role.Rules
			}
		}
	case "Role":
		for _, role := range roles {
			if role.Name == b.roleRef.Name {
				return role.Rules
			}
		}
	}
	t.Fatalf("binding %s names %s %q, which nobody makes", b.name, b.roleRef.Kind, b.roleRef.Name)
	return nil
}

func TestBindingsAreForTheScheduler(t *testing.T) {
	rbacObjects := decodeFile(t, "components", "scheduler", "rbac.yaml")
	account := one[*corev1.ServiceAccount](t, decodeFile(t, "components", "scheduler", "serviceaccount.yaml"))
	want := []rbacv1.Subject{{Kind: "ServiceAccount", Name: account.Name, Namespace: account.Namespace}}
	for _, b := range bindings(rbacObjects) {
		if diff := cmp.Diff(want, b.subjects); diff != "" {
			t.Errorf("subjects of %s (-want +got):\n%s", b.name, diff)
		}
	}
}

// The roles of Kubernetes that are bound here are looked at too: they are what the scheduler is given.
func TestNoRuleHasAWildcard(t *testing.T) {
	objects := decodeFile(t, "components", "scheduler", "rbac.yaml")
	var rules []rbacv1.PolicyRule
	for _, b := range bindings(objects) {
		rules = append(rules, rulesOf(t, objects, b)...)
	}
	for _, role := range all[*rbacv1.ClusterRole](objects) {
		rules = append(rules, role.Rules...)
	}
	for _, role := range all[*rbacv1.Role](objects) {
		rules = append(rules, role.Rules...)
	}
	if len(rules) == 0 {
		t.Fatal("found no rule")
	}
	for _, rule := range rules {
		words := slices.Concat(rule.Verbs, rule.APIGroups, rule.Resources, rule.ResourceNames, rule.NonResourceURLs)
		if slices.Contains(words, "*") {
			t.Errorf("a rule has a wildcard: %v", rule)
		}
	}
}

func request(verb, group, resource, namespace, name string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{
		Verb: verb, APIGroup: group, Resource: resource, Namespace: namespace, Name: name, ResourceRequest: true,
	}
}

func TestSchedulerMay(t *testing.T) {
	const storage, leases, snapshots = "storage.roost.dev", "coordination.k8s.io", "snapshot.storage.k8s.io"
	status := request("update", storage, "storagereports", "", "x")
	status.Subresource = "status"
	podBinding := request("create", "", "pods", "shop", "x")
	podBinding.Subresource = "binding"
	tests := map[string]struct {
		request authorizer.AttributesRecord
		want    bool
	}{
		"read where volumes are":                  {request: request("list", storage, "volumetopologies", "", ""), want: true},
		"watch where volumes are":                 {request: request("watch", storage, "volumetopologies", "", ""), want: true},
		"read how storage is":                     {request: request("list", storage, "storagereports", "", ""), want: true},
		"read what Roost thinks of storage":       {request: request("watch", storage, "storagenodes", "", ""), want: true},
		"keep pods off a node's storage":          {request: request("update", storage, "storagenodes", "", "x")},
		"say where volumes are":                   {request: request("update", storage, "volumetopologies", "", "x")},
		"say how storage is":                      {request: status},
		"delete a volume's topology":              {request: request("delete", storage, "volumetopologies", "", "x")},
		"read which content a snapshot has":       {request: request("watch", snapshots, "volumesnapshots", "", ""), want: true},
		"read which volume a content is of":       {request: request("list", snapshots, "volumesnapshotcontents", "", ""), want: true},
		"delete a snapshot":                       {request: request("delete", snapshots, "volumesnapshots", "shop", "x")},
		"make its lease":                          {request: request("create", leases, "leases", "roost-system", ""), want: true},
		"hold its lease":                          {request: request("update", leases, "leases", "roost-system", "roost-scheduler"), want: true},
		"hold the lease of a node":                {request: request("update", leases, "leases", "kube-node-lease", "node-1")},
		"hold another lease of its own namespace": {request: request("update", leases, "leases", "roost-system", "other")},
		"bind a pod":                              {request: podBinding, want: true},
		"tell what it did":                        {request: request("create", "events.k8s.io", "events", "shop", ""), want: true},
		"bind a claim":                            {request: request("update", "", "persistentvolumeclaims", "shop", "x"), want: true},
		"read StorageClasses":                     {request: request("list", "storage.k8s.io", "storageclasses", "", ""), want: true},
		"read attachments":                        {request: request("list", "storage.k8s.io", "volumeattachments", "", ""), want: true},
		"delete an attachment":                    {request: request("delete", "storage.k8s.io", "volumeattachments", "", "x")},
		"read how to know a client":               {request: request("get", "", "configmaps", metav1.NamespaceSystem, "extension-apiserver-authentication"), want: true},
		"read another ConfigMap of kube-system":   {request: request("get", "", "configmaps", metav1.NamespaceSystem, "kubeadm-config")},
		"read a secret":                           {request: request("get", "", "secrets", "roost-system", "x")},
		"change a node":                           {request: request("patch", "", "nodes", "", "node-1")},
		"make a pod":                              {request: request("create", "", "pods", "shop", "x")},
	}
	objects := decodeFile(t, "components", "scheduler", "rbac.yaml")
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := false
			for _, b := range bindings(objects) {
				inReach := b.namespace == "" || b.namespace == tc.request.Namespace
				got = got || inReach && rbac.RulesAllow(tc.request, rulesOf(t, objects, b)...)
			}
			if got != tc.want {
				t.Errorf("allowed = %t, want %t", got, tc.want)
			}
		})
	}
}
