// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm"
	"k8s.io/kubernetes/cmd/kubeadm/app/phases/controlplane"
	schedvalidation "k8s.io/kubernetes/pkg/scheduler/apis/config/validation"
	"k8s.io/utils/ptr"
)

const controlPlaneBinding = "roost-scheduler-in-control-plane"

var (
	twoProfiles  = filepath.Join("examples", "two-profiles.yaml")
	controlPlane = filepath.Join("examples", "control-plane")
	// configInControlPlane is where the docs say that the configuration is to be.
	configInControlPlane = "/etc/kubernetes/roost/scheduler-config.yaml"
)

func TestChoiceIsOfTheShippedProfile(t *testing.T) {
	objects := build(t, filepath.Join("components", "scheduler-choice"))
	policy := one[*admissionregistrationv1.MutatingAdmissionPolicy](t, objects)
	binding := one[*admissionregistrationv1.MutatingAdmissionPolicyBinding](t, objects)
	want := "value: '" + loadConfig(t, shippedConfig).Profiles[0].SchedulerName + "'"
	if got := policy.Spec.Mutations[0].JSONPatch.Expression; len(policy.Spec.Mutations) != 1 || !strings.Contains(got, want) {
		t.Errorf("the policy mutates with %q, which has no %q", got, want)
	}
	if binding.Spec.PolicyName != policy.Name {
		t.Errorf("the binding is of the policy %q, want %q", binding.Spec.PolicyName, policy.Name)
	}
	if got := *policy.Spec.FailurePolicy; got != admissionregistrationv1.Ignore {
		t.Errorf("failurePolicy = %s: a pod could be refused", got)
	}
}

// The namespaces that Roost's own objects are in are left out wherever Roost is installed by default.
func TestChoiceLeavesRoostsNamespacesOut(t *testing.T) {
	policy := one[*admissionregistrationv1.MutatingAdmissionPolicy](t, build(t, filepath.Join("components", "scheduler-choice")))
	selector, err := metav1.LabelSelectorAsSelector(policy.Spec.MatchConstraints.NamespaceSelector)
	if err != nil {
		t.Fatal(err)
	}
	for _, namespace := range all[*corev1.Namespace](build(t, "default")) {
		if selector.Matches(labelsOfNamespace(namespace.Name)) {
			t.Errorf("namespace %s is not left out", namespace.Name)
		}
	}
	if !selector.Matches(labelsOfNamespace("shop")) {
		t.Error("every namespace is left out")
	}
}

func labelsOfNamespace(name string) labels.Set { return labels.Set{corev1.LabelMetadataName: name} }

// The integration tests try the policy on an API server. That one has the gangs of Kubernetes 1.36 switched off, and would
// not show an expression that fails.
func TestConditionsOfChoice(t *testing.T) {
	claim := corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
	}}
	tests := map[string]struct {
		spec corev1.PodSpec
		want bool
	}{
		"nothing in it":           {},
		"a volume that is empty":  {spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "empty"}}}},
		"a claim":                 {spec: corev1.PodSpec{Volumes: []corev1.Volume{claim}}, want: true},
		"a claim, and in a gang":  {spec: corev1.PodSpec{Volumes: []corev1.Volume{claim}, SchedulingGroup: &corev1.PodSchedulingGroup{}}},
		"a claim, and on a node":  {spec: corev1.PodSpec{Volumes: []corev1.Volume{claim}, NodeName: "node-1"}},
		"a claim, but no default": {spec: corev1.PodSpec{Volumes: []corev1.Volume{claim}, SchedulerName: "other"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := conditionsOfChoice(t).Match(t.Context(), versioned(&corev1.Pod{Spec: tc.spec}), nil, nil)
			if got.Error != nil {
				t.Fatal(got.Error)
			}
			if got.Matches != tc.want {
				t.Errorf("matches = %t because of %q, want %t", got.Matches, got.FailedConditionName, tc.want)
			}
		})
	}
}

// conditionsOfChoice are the policy's, compiled as the API server does, but so that an expression that fails is an error.
func conditionsOfChoice(t *testing.T) matchconditions.Matcher {
	t.Helper()
	policy := one[*admissionregistrationv1.MutatingAdmissionPolicy](t, decodeFile(t, "components", "scheduler-choice", "policy.yaml"))
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		t.Fatal(err)
	}
	var conditions []cel.ExpressionAccessor
	for _, condition := range policy.Spec.MatchConditions {
		conditions = append(conditions, (*matchconditions.MatchCondition)(&condition))
	}
	compiled := compiler.CompileCondition(conditions, cel.OptionalVariableDeclarations{}, environment.StoredExpressions)
	return matchconditions.NewMatcher(compiled, ptr.To(admissionregistrationv1.Fail), "policy", "validate", policy.Name)
}

// versioned is what the API server shows to a policy when the pod is created.
func versioned(pod *corev1.Pod) *admission.VersionedAttributes {
	kind := corev1.SchemeGroupVersion.WithKind("Pod")
	return &admission.VersionedAttributes{
		Attributes: admission.NewAttributesRecord(pod, nil, kind, "shop", "pod", corev1.SchemeGroupVersion.WithResource("pods"), "",
			admission.Create, &metav1.CreateOptions{}, false, nil),
		VersionedObject: pod,
		VersionedKind:   kind,
	}
}

func TestTwoProfilesAreTheStockOneAndTheShippedOne(t *testing.T) {
	cfg := loadConfig(t, twoProfiles)
	if err := schedvalidation.ValidateKubeSchedulerConfiguration(cfg); err != nil {
		t.Fatal(err)
	}
	shipped := loadConfig(t, shippedConfig)
	if diff := cmp.Diff(shipped.Profiles[0], cfg.Profiles[1]); diff != "" {
		t.Errorf("profile of Roost (-shipped +example):\n%s", diff)
	}
	got := plugins(t, cfg.Profiles...)
	if diff := cmp.Diff(plugins(t)[corev1.DefaultSchedulerName], got[corev1.DefaultSchedulerName]); diff != "" {
		t.Errorf("plugins of the default profile (-stock +example):\n%s", diff)
	}
	name := shipped.Profiles[0].SchedulerName
	if diff := cmp.Diff(plugins(t, shipped.Profiles...)[name], got[name]); diff != "" || got[name] == nil {
		t.Errorf("plugins of the profile %q (-shipped +example):\n%s", name, diff)
	}
}

// Ours and the stock one of another control-plane node must not schedule at once.
func TestControlPlanesLeaseIsThatOfKubeScheduler(t *testing.T) {
	for _, path := range []string{defaultProfile, twoProfiles} {
		cfg := loadConfig(t, path)
		election := cfg.LeaderElection
		got := []any{election.LeaderElect, election.ResourceNamespace, election.ResourceName}
		if diff := cmp.Diff([]any{true, metav1.NamespaceSystem, "kube-scheduler"}, got); diff != "" {
			t.Errorf("%s: lease (-want +got):\n%s", path, diff)
		}
	}
}

func TestControlPlaneInstallsAllButTheSecondScheduler(t *testing.T) {
	objects := build(t, controlPlane)
	var got []string
	for _, object := range objects {
		got = append(got, installedAs(t, object))
	}
	slices.Sort(got)
	want := slices.DeleteFunc(slices.Clone(installed), func(name string) bool {
		return strings.Contains(name, "roost-scheduler") && name != "ClusterRole roost-scheduler"
	})
	want = append(want, "ClusterRoleBinding "+controlPlaneBinding)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user.KubeScheduler}}
	for _, binding := range all[*rbacv1.ClusterRoleBinding](objects) {
		if binding.Name != controlPlaneBinding {
			continue
		}
		if binding.RoleRef.Name != "roost-scheduler" {
			t.Errorf("binds the role %q", binding.RoleRef.Name)
		}
		if diff := cmp.Diff(subjects, binding.Subjects); diff != "" {
			t.Errorf("subjects (-want +got):\n%s", diff)
		}
	}
}

// kubeadm itself applies the patch, to the static pod that it writes itself.
func TestKubeadmTakesThePatch(t *testing.T) {
	kubeadm.SetActiveTimeouts(&kubeadm.Timeouts{ControlPlaneComponentHealthCheck: &metav1.Duration{Duration: time.Minute}})
	dir := t.TempDir()
	cluster := &kubeadm.ClusterConfiguration{KubernetesVersion: "v1.36.3", ImageRepository: "registry.k8s.io"}
	patches := filepath.Join(controlPlane, "kubeadm")
	err := controlplane.CreateStaticPodFiles(dir, patches, cluster, &kubeadm.APIEndpoint{}, false, "kube-scheduler")
	if err != nil {
		t.Fatal(err)
	}
	spec := one[*corev1.Pod](t, decodeFile(t, dir, "kube-scheduler.yaml")).Spec
	container := spec.Containers[0]
	if got, want := container.Image, "roost.dev/kube-scheduler:dev"; got != want {
		t.Errorf("image = %q, want %q", got, want)
	}
	if !slices.Contains(container.Command, "--config="+configInControlPlane) || container.Command[0] != "kube-scheduler" {
		t.Errorf("command = %q", container.Command)
	}
	if !mountsFromHost(spec, filepath.Dir(configInControlPlane)) {
		t.Errorf("the folder of the configuration is not mounted where it is: %v, %v", container.VolumeMounts, spec.Volumes)
	}
	for _, path := range []string{defaultProfile, twoProfiles} {
		kubeconfig := loadConfig(t, path).ClientConnection.Kubeconfig
		if !slices.Contains(container.Command, "--kubeconfig="+kubeconfig) || !mountsFromHost(spec, kubeconfig) {
			t.Errorf("%s: kubeadm mounts no kubeconfig %s", path, kubeconfig)
		}
	}
}

// mountsFromHost says whether the first container sees a path of the host under the same name.
func mountsFromHost(spec corev1.PodSpec, path string) bool {
	return slices.ContainsFunc(spec.Volumes, func(volume corev1.Volume) bool {
		return volume.HostPath != nil && volume.HostPath.Path == path &&
			slices.ContainsFunc(spec.Containers[0].VolumeMounts, func(mount corev1.VolumeMount) bool {
				return mount.Name == volume.Name && mount.MountPath == path
			})
	})
}
