// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac"

	"roost.dev/roost/apis/manager/scheme"
	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/apis/manager/validation"
)

var managerFolder = filepath.Join("components", "controller-manager")

func managerConfig(t *testing.T) *managerv1alpha1.ControllerManagerConfiguration {
	t.Helper()
	config, err := scheme.Decode(readFile(t, managerFolder, "manager-config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestManagerConfigurationIsTheDefault(t *testing.T) {
	config := managerConfig(t)
	if errs := validation.ValidateConfiguration(config, nil); len(errs) > 0 {
		t.Errorf("not valid: %v", errs)
	}
	if diff := cmp.Diff(scheme.Default(), config); diff != "" {
		t.Errorf("configuration (-default +shipped):\n%s", diff)
	}
}

func TestManagerListensWhereItIsAsked(t *testing.T) {
	config := managerConfig(t)
	container := one[*appsv1.Deployment](t, decodeFile(t, managerFolder, "deployment.yaml")).Spec.Template.Spec.Containers[0]
	service := one[*corev1.Service](t, decodeFile(t, managerFolder, "service.yaml"))
	got := map[string]string{}
	for _, port := range container.Ports {
		got[port.Name] = ":" + strconv.Itoa(int(port.ContainerPort))
	}
	want := map[string]string{"health": config.Health.BindAddress, "metrics": config.Metrics.BindAddress}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ports (-configuration +container):\n%s", diff)
	}
	if port := service.Spec.Ports[0]; port.TargetPort.StrVal != "metrics" {
		t.Errorf("the Service leads to port %q, want metrics", port.TargetPort.StrVal)
	}
}

func TestManagersLeaseIsTheOneThatTheRoleNames(t *testing.T) {
	election := managerConfig(t).LeaderElection
	for _, role := range all[*rbacv1.Role](decodeFile(t, managerFolder, "rbac.yaml")) {
		for _, rule := range role.Rules {
			if len(rule.ResourceNames) == 0 {
				continue
			}
			if role.Namespace != election.ResourceNamespace || !slices.Equal(rule.ResourceNames, []string{election.ResourceName}) {
				t.Errorf("the Role names %s/%v, the configuration %s/%s", role.Namespace, rule.ResourceNames,
					election.ResourceNamespace, election.ResourceName)
			}
			return
		}
	}
	t.Error("no Role names the lease")
}

func TestManagersRulesHaveNoWildcard(t *testing.T) {
	objects := append(decodeFile(t, managerFolder, "rbac.yaml"), decodeFile(t, managerFolder, "rbac-snapshots.yaml")...)
	var rules []rbacv1.PolicyRule
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

// below is a request for a subresource, as in pods/eviction.
func below(verb, group, resource, namespace string) authorizer.AttributesRecord {
	resource, subresource, _ := strings.Cut(resource, "/")
	r := request(verb, group, resource, namespace, "x")
	r.Subresource = subresource
	return r
}

func TestManagerMay(t *testing.T) {
	const roost, storage, leases = "storage.roost.dev", "storage.k8s.io", "coordination.k8s.io"
	tests := map[string]struct {
		request authorizer.AttributesRecord
		want    bool
	}{
		"evict a pod":                     {request: below("create", "", "pods/eviction", "shop"), want: true},
		"delete a pod":                    {request: request("delete", "", "pods", "shop", "x"), want: true},
		"delete all pods at once":         {request: request("deletecollection", "", "pods", "shop", "")},
		"make a pod":                      {request: request("create", "", "pods", "shop", "x")},
		"change a pod":                    {request: request("patch", "", "pods", "shop", "x")},
		"run a command in a pod":          {request: below("create", "", "pods/exec", "shop")},
		"taint a node":                    {request: request("patch", "", "nodes", "", "node-1"), want: true},
		"delete a node":                   {request: request("delete", "", "nodes", "", "node-1")},
		"delete an attachment":            {request: request("delete", storage, "volumeattachments", "", "x"), want: true},
		"make an attachment":              {request: request("create", storage, "volumeattachments", "", "x")},
		"change an attachment":            {request: request("patch", storage, "volumeattachments", "", "x")},
		"read a volume":                   {request: request("list", "", "persistentvolumes", "", ""), want: true},
		"delete a volume":                 {request: request("delete", "", "persistentvolumes", "", "x")},
		"delete a claim":                  {request: request("delete", "", "persistentvolumeclaims", "shop", "x")},
		"make a StorageNode":              {request: request("create", roost, "storagenodes", "", "x"), want: true},
		"write a verdict":                 {request: below("update", roost, "storagenodes/status", ""), want: true},
		"set spec.maintenance":            {request: request("update", roost, "storagenodes", "", "x")},
		"delete a StorageNode":            {request: request("delete", roost, "storagenodes", "", "x")},
		"say how storage is":              {request: below("update", roost, "storagereports/status", "")},
		"read a fence":                    {request: request("watch", "csiaddons.openshift.io", "networkfences", "", ""), want: true},
		"read whose fences they are":      {request: request("list", "csiaddons.openshift.io", "networkfenceclasses", "", ""), want: true},
		"set a fence":                     {request: request("create", "csiaddons.openshift.io", "networkfences", "", "x")},
		"read a gang":                     {request: request("get", "scheduling.x-k8s.io", "podgroups", "shop", "x"), want: true},
		"tell what it did":                {request: request("create", "events.k8s.io", "events", "shop", ""), want: true},
		"hold its lease":                  {request: request("update", leases, "leases", "roost-system", "roost-controller-manager"), want: true},
		"hold the scheduler's lease":      {request: request("update", leases, "leases", "roost-system", "roost-scheduler")},
		"read a node's lease":             {request: request("get", leases, "leases", "kube-node-lease", "node-1"), want: true},
		"hold a node's lease":             {request: request("update", leases, "leases", "kube-node-lease", "node-1")},
		"check who asks for metrics":      {request: request("create", "authentication.k8s.io", "tokenreviews", "", ""), want: true},
		"check who may read metrics":      {request: request("create", "authorization.k8s.io", "subjectaccessreviews", "", ""), want: true},
		"read a secret":                   {request: request("get", "", "secrets", "roost-system", "x")},
		"read a ConfigMap":                {request: request("get", "", "configmaps", "roost-system", "x")},
		"give itself more rights":         {request: request("update", "rbac.authorization.k8s.io", "clusterroles", "", "x")},
		"act in the name of someone else": {request: request("impersonate", "", "users", "", "x")},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := managerMay(t, tc.request, "rbac.yaml"); got != tc.want {
				t.Errorf("allowed = %t, want %t", got, tc.want)
			}
		})
	}
}

// managerMay says whether the roles of these files allow a request. All of them must be bound to the manager alone.
func managerMay(t *testing.T, asked authorizer.AttributesRecord, files ...string) bool {
	t.Helper()
	account := one[*corev1.ServiceAccount](t, decodeFile(t, managerFolder, "serviceaccount.yaml"))
	subjects := []rbacv1.Subject{{Kind: "ServiceAccount", Name: account.Name, Namespace: account.Namespace}}
	may := false
	for _, file := range files {
		objects := decodeFile(t, managerFolder, file)
		for _, b := range bindings(objects) {
			if diff := cmp.Diff(subjects, b.subjects); diff != "" {
				t.Errorf("subjects of %s (-want +got):\n%s", b.name, diff)
			}
			inReach := b.namespace == "" || b.namespace == asked.Namespace
			may = may || inReach && rbac.RulesAllow(asked, rulesOf(t, objects, b)...)
		}
	}
	return may
}

func TestManagerMayForSnapshots(t *testing.T) {
	const roost, csi, apps = "snapshot.roost.dev", "snapshot.storage.k8s.io", "apps"
	tests := map[string]struct {
		request authorizer.AttributesRecord
		want    bool
	}{
		"run a command in a pod":                    {request: below("create", "", "pods/exec", "shop"), want: true},
		"open a shell that stays":                   {request: below("create", "", "pods/attach", "shop")},
		"make a pod":                                {request: request("create", "", "pods", "shop", "x")},
		"make a snapshot":                           {request: request("create", csi, "volumesnapshots", "shop", "x"), want: true},
		"delete one":                                {request: request("delete", csi, "volumesnapshots", "shop", "x"), want: true},
		"delete all at once":                        {request: request("deletecollection", csi, "volumesnapshots", "shop", "")},
		"change a class":                            {request: request("update", csi, "volumesnapshotclasses", "", "x")},
		"make the run of a schedule":                {request: request("create", roost, "applicationsnapshots", "shop", "x"), want: true},
		"write what is asked for":                   {request: request("update", roost, "applicationsnapshots", "shop", "x")},
		"ask for a restore":                         {request: request("create", roost, "snapshotrestores", "shop", "x")},
		"delete a restore":                          {request: request("delete", roost, "snapshotrestores", "shop", "x")},
		"write a journal":                           {request: below("update", roost, "snapshotrestores/status", "shop"), want: true},
		"write statuses, by the policies":           {request: request("control", roost, "snapshotrestores", "", ""), want: true},
		"write its labels, by the policies":         {request: request("control", roost, "applicationsnapshots", "", ""), want: true},
		"make what a schedule shares":               {request: request("share", roost, "applicationsnapshots", "shop", ""), want: true},
		"make a claim":                              {request: request("create", "", "persistentvolumeclaims", "shop", "x"), want: true},
		"delete a claim":                            {request: request("delete", "", "persistentvolumeclaims", "shop", "x"), want: true},
		"keep a volume":                             {request: request("patch", "", "persistentvolumes", "", "x"), want: true},
		"delete a volume":                           {request: request("delete", "", "persistentvolumes", "", "x")},
		"make a volume":                             {request: request("create", "", "persistentvolumes", "", "x")},
		"scale a StatefulSet":                       {request: below("update", apps, "statefulsets/scale", "shop"), want: true},
		"change what a StatefulSet runs":            {request: request("update", apps, "statefulsets", "shop", "x")},
		"delete a StatefulSet":                      {request: request("delete", apps, "statefulsets", "shop", "x")},
		"change an autoscaler":                      {request: request("patch", "autoscaling", "horizontalpodautoscalers", "shop", "x")},
		"read a secret":                             {request: request("get", "", "secrets", "shop", "x")},
		"give consent in the name of another owner": {request: request("create", "gateway.networking.k8s.io", "referencegrants", "shop", "x")},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := managerMay(t, tc.request, "rbac-snapshots.yaml"); got != tc.want {
				t.Errorf("allowed = %t, want %t", got, tc.want)
			}
		})
	}
}
