// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"path"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// podSecurityErrors says what in a pod the level "restricted" of the pod security standards forbids.
func podSecurityErrors(t *testing.T, template corev1.PodTemplateSpec) []string {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	results := evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &template.ObjectMeta, &template.Spec)
	if len(results) == 0 {
		t.Fatal("nothing was checked")
	}
	var found []string
	for _, result := range results {
		if !result.Allowed {
			found = append(found, result.ForbiddenReason+": "+result.ForbiddenDetail)
		}
	}
	return found
}

func TestPodsAreRestricted(t *testing.T) {
	templates := map[string]corev1.PodTemplateSpec{
		"scheduler":          one[*appsv1.Deployment](t, decodeFile(t, "components", "scheduler", "deployment.yaml")).Spec.Template,
		"controller manager": one[*appsv1.Deployment](t, decodeFile(t, "components", "controller-manager", "deployment.yaml")).Spec.Template,
		"example":            one[*appsv1.StatefulSet](t, decodeFile(t, "examples", "second-scheduler.yaml")).Spec.Template,
	}
	for name, template := range templates {
		t.Run(name, func(t *testing.T) {
			for _, found := range podSecurityErrors(t, template) {
				t.Error(found)
			}
			for _, container := range template.Spec.Containers {
				readOnly := container.SecurityContext.ReadOnlyRootFilesystem
				if readOnly == nil || !*readOnly {
					t.Errorf("container %s can write to its root", container.Name)
				}
				if len(container.Resources.Requests) == 0 {
					t.Errorf("container %s requests nothing", container.Name)
				}
			}
		})
	}
}

// Each guard of the Deployment is taken away in turn: the check has to see it.
func TestRestrictedIsSeenToFail(t *testing.T) {
	tests := map[string]func(*corev1.PodSpec){
		"root":               func(spec *corev1.PodSpec) { spec.SecurityContext.RunAsNonRoot = nil },
		"no seccomp profile": func(spec *corev1.PodSpec) { spec.SecurityContext.SeccompProfile = nil },
		"capabilities":       func(spec *corev1.PodSpec) { spec.Containers[0].SecurityContext.Capabilities = nil },
		"escalation":         func(spec *corev1.PodSpec) { spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = nil },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			template := one[*appsv1.Deployment](t, decodeFile(t, "components", "scheduler", "deployment.yaml")).Spec.Template
			change(&template.Spec)
			if len(podSecurityErrors(t, template)) == 0 {
				t.Error("passed as restricted")
			}
		})
	}
}

func TestNamespaceEnforcesRestricted(t *testing.T) {
	namespace := one[*corev1.Namespace](t, decodeFile(t, "components", "scheduler", "namespace.yaml"))
	if got := namespace.Labels[api.EnforceLevelLabel]; got != string(api.LevelRestricted) {
		t.Errorf("label %s = %q, want %q", api.EnforceLevelLabel, got, api.LevelRestricted)
	}
}

// ofProgram gives the objects that carry the program's name as a label.
func ofProgram(t *testing.T, objects []runtime.Object, program string) []runtime.Object {
	t.Helper()
	var found []runtime.Object
	for _, object := range objects {
		accessor, err := meta.Accessor(object)
		if err != nil {
			t.Fatal(err)
		}
		if accessor.GetLabels()["app.kubernetes.io/name"] == program {
			found = append(found, object)
		}
	}
	return found
}

// What kustomize builds has to fit together: the names below are in different files.
func TestDeploymentsFitTogether(t *testing.T) {
	tests := map[string]struct {
		image, port string
		scheme      corev1.URIScheme
		liveness    string
	}{
		"roost-scheduler":          {image: "roost.dev/kube-scheduler", port: "https", scheme: corev1.URISchemeHTTPS, liveness: "/livez"},
		"roost-controller-manager": {image: "roost.dev/controller-manager", port: "health", liveness: "/healthz"},
	}
	for program, tc := range tests {
		t.Run(program, func(t *testing.T) {
			objects := ofProgram(t, build(t, "default"), program)
			spec := one[*appsv1.Deployment](t, objects).Spec.Template.Spec
			container := spec.Containers[0]
			configMap := one[*corev1.ConfigMap](t, objects)

			if got, want := spec.ServiceAccountName, one[*corev1.ServiceAccount](t, objects).Name; got != want {
				t.Errorf("service account = %q, want %q", got, want)
			}
			if got := spec.Volumes[0].ConfigMap.Name; got != configMap.Name {
				t.Errorf("mounts the ConfigMap %q, want %q", got, configMap.Name)
			}
			for key := range configMap.Data {
				if want := "--config=" + path.Join(container.VolumeMounts[0].MountPath, key); !slices.Contains(container.Args, want) {
					t.Errorf("arguments %q have no %q", container.Args, want)
				}
			}
			if got := container.Image; !strings.HasPrefix(got, tc.image+":") {
				t.Errorf("image = %q, want a tag set by kustomize", got)
			}
			for name, probe := range map[string]*corev1.Probe{tc.liveness: container.LivenessProbe, "/readyz": container.ReadinessProbe} {
				if get := probe.HTTPGet; get.Path != name || get.Scheme != tc.scheme || get.Port.StrVal != tc.port || container.Ports[0].Name != tc.port {
					t.Errorf("probe of %s = %v", name, get)
				}
			}
		})
	}
}

func TestPodDisruptionBudgetSelectsThePods(t *testing.T) {
	for _, program := range []string{"roost-scheduler", "roost-controller-manager"} {
		objects := ofProgram(t, build(t, "default"), program)
		budget, err := metav1.LabelSelectorAsSelector(one[*policyv1.PodDisruptionBudget](t, objects).Spec.Selector)
		if err != nil {
			t.Fatal(err)
		}
		if podLabels := labels.Set(one[*appsv1.Deployment](t, objects).Spec.Template.Labels); budget.Empty() || !budget.Matches(podLabels) {
			t.Errorf("the PodDisruptionBudget selects %q, which is not the pods with labels %v", budget, podLabels)
		}
	}
}
