// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// scales has objects of a kind scaled through their scale subresource.
func scales(kind string, replicas int64) interceptor.Funcs {
	return interceptor.Funcs{SubResourceGet: func(ctx context.Context, c client.Client, name string, object, into client.Object, options ...client.SubResourceGetOption) error {
		if _, ok := object.(*unstructured.Unstructured); !ok {
			return c.SubResource(name).Get(ctx, object, into, options...)
		}
		if object.GetObjectKind().GroupVersionKind().Kind != kind {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "scale"}, object.GetName())
		}
		return unstructured.SetNestedField(into.(*unstructured.Unstructured).Object, replicas, "spec", "replicas")
	}}
}

// changed is an object after a change.
func changed[O client.Object](object O, change func(O)) O {
	change(object)
	return object
}

var (
	ended     = changed(podOf("job-0", "data", owned("batch/v1", "Job", "import")), func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })
	waiting   = changed(podOf("web-0", "data", owned("apps/v1", "ReplicaSet", "web-1")), func(p *corev1.Pod) { p.Spec.NodeName = "" })
	elsewhere = changed(podOf("other", "data", nil), func(p *corev1.Pod) { p.Namespace = "elsewhere" })
	argo      = changed(deployment("web", "data", 1), func(d *appsv1.Deployment) {
		d.Annotations = map[string]string{"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}
	})
	flux = changed(deployment("web", "data", 1), func(d *appsv1.Deployment) {
		d.Labels = map[string]string{"kustomize.toolkit.fluxcd.io/name": "shop"}
	})
	operated = statefulSet("db", 2, func(s *appsv1.StatefulSet) {
		s.OwnerReferences = []metav1.OwnerReference{*owned("example.com/v1", "Database", "db")}
	})
	keda = changed(autoscalerOf("web", "Deployment", "web", ptr.To[int32](1)), func(a *autoscalingv2.HorizontalPodAutoscaler) {
		a.OwnerReferences = []metav1.OwnerReference{*owned("keda.sh/v1alpha1", "ScaledObject", "web")}
	})
)

// userTests have the users of the claim "data", unless others are named.
var userTests = map[string]struct {
	claims  []string
	scales  string
	objects []client.Object
	// want is each workload with its replicas and owner.
	want    []string
	refused []string
}{
	"nobody": {},
	"a Deployment, by the ReplicaSet of a pod": {
		objects: []client.Object{podOf("web-0", "data", owned("apps/v1", "ReplicaSet", "web-1")), replicaSet("web-1", "data", 3, owned("apps/v1", "Deployment", "web")), deployment("web", "data", 3)},
		want:    []string{"Deployment web 3 "},
	},
	"a pod that waits for a node": {
		objects: []client.Object{waiting, replicaSet("web-1", "data", 1, owned("apps/v1", "Deployment", "web")), deployment("web", "data", 1)},
		want:    []string{"Deployment web 1 "},
	},
	"a Deployment whose pods cannot be made": {
		objects: []client.Object{deployment("web", "data", 3)}, want: []string{"Deployment web 3 "},
	},
	"a Deployment without replicas": {
		objects: []client.Object{deployment("web", "data", 0)}, want: []string{"Deployment web 0 "},
	},
	"a Deployment with another claim": {
		objects: []client.Object{deployment("web", "other", 3)},
	},
	"a ReplicaSet of nobody": {
		objects: []client.Object{replicaSet("web", "data", 2, nil)}, want: []string{"ReplicaSet web 2 "},
	},
	"an old ReplicaSet of a Deployment that mounts another claim now": {
		objects: []client.Object{replicaSet("web-1", "data", 0, owned("apps/v1", "Deployment", "web")), deployment("web", "other", 1)},
	},
	"a StatefulSet, by its claims": {
		claims: []string{"data-db-0", "data-db-1"}, objects: []client.Object{statefulSet("db", 2)}, want: []string{"StatefulSet db 2 "},
	},
	"a StatefulSet without replicas": {
		claims: []string{"data-db-7"}, objects: []client.Object{statefulSet("db", 0)}, want: []string{"StatefulSet db 0 "},
	},
	"a claim that a StatefulSet left behind": {
		claims: []string{"data-db-2"}, objects: []client.Object{statefulSet("db", 2)},
	},
	"ordinals that start later": {
		claims:  []string{"data-db-5"},
		objects: []client.Object{statefulSet("db", 2, func(s *appsv1.StatefulSet) { s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: 5} })},
		want:    []string{"StatefulSet db 2 "},
	},
	"another StatefulSet's claims": {
		claims: []string{"data-mydb-0", "data-db-x", "data-db-01"}, objects: []client.Object{statefulSet("db", 2)},
	},
	"an operator above": {
		claims: []string{"data-db-0"}, objects: []client.Object{operated}, want: []string{"StatefulSet db 2 Database db may scale it back"},
	},
	"a kind of its own that scales": {
		scales: "CloneSet", objects: []client.Object{podOf("web-0", "data", owned("example.com/v1", "CloneSet", "web")), custom("CloneSet", "web")},
		want: []string{"CloneSet web 4 "},
	},
	"a kind of its own above a ReplicaSet that scales": {
		scales: "Rollout", objects: []client.Object{
			podOf("web-0", "data", owned("apps/v1", "ReplicaSet", "web-1")), replicaSet("web-1", "data", 4, owned("example.com/v1", "Rollout", "web")), custom("Rollout", "web"),
		},
		want: []string{"Rollout web 4 "},
	},
	"a kind of its own above a ReplicaSet that does not": {
		scales: "Rollout", objects: []client.Object{
			podOf("web-0", "data", owned("apps/v1", "ReplicaSet", "web-1")), replicaSet("web-1", "data", 4, owned("example.com/v1", "Canary", "web")), custom("Canary", "web"),
		},
		want: []string{"ReplicaSet web-1 4 Canary web may scale it back"},
	},
	"an autoscaler": {
		objects: []client.Object{deployment("web", "data", 3), autoscalerOf("web", "Deployment", "web", ptr.To[int32](1)), autoscalerOf("db", "StatefulSet", "web", nil)},
		want:    []string{"Deployment web 3 HorizontalPodAutoscaler web does nothing at 0 replicas"},
	},
	"an autoscaler that scales from 0": {
		objects: []client.Object{deployment("web", "data", 3), autoscalerOf("web", "Deployment", "web", ptr.To[int32](0))},
		want:    []string{"Deployment web 3 HorizontalPodAutoscaler web may scale it back: its minReplicas is 0"},
	},
	"an autoscaler of KEDA": {
		objects: []client.Object{deployment("web", "data", 3), keda},
		want:    []string{"Deployment web 3 ScaledObject web may scale it back"},
	},
	"a delivery by Argo CD": {objects: []client.Object{argo}, want: []string{"Deployment web 1 Argo CD application shop may scale it back"}},
	"a delivery by Flux":    {objects: []client.Object{flux}, want: []string{"Deployment web 1 Flux Kustomization shop may scale it back"}},
	"a pod that ended":      {objects: []client.Object{ended}},
	"another namespace":     {objects: []client.Object{elsewhere}},
	"a bare pod": {
		objects: []client.Object{podOf("shell", "data", nil)}, refused: []string{"pod shell belongs to no workload: delete it, nobody else can start it again"},
	},
	"a DaemonSet": {
		objects: []client.Object{podOf("agent-0", "data", owned("apps/v1", "DaemonSet", "agent"))}, refused: []string{"pod agent-0 is of DaemonSet agent, which cannot be scaled"},
	},
	"a Job that runs": {
		objects: []client.Object{podOf("import-0", "data", owned("batch/v1", "Job", "import"))}, refused: []string{"pod import-0 is of Job import: wait for it to end, or delete it"},
	},
	"a static pod": {
		objects: []client.Object{podOf("etcd-n1", "data", owned("v1", "Node", "n1"))}, refused: []string{"pod etcd-n1 is a static one of Node n1"},
	},
	"a kind that does not scale": {
		scales: "CloneSet", objects: []client.Object{podOf("pg-0", "data", owned("example.com/v1", "Cluster", "pg")), custom("Cluster", "pg")},
		refused: []string{"Cluster pg cannot be scaled: scale \"pg\" not found"},
	},
	"a workload that was made anew": {
		objects: []client.Object{podOf("db-0", "data", &metav1.OwnerReference{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", UID: "before", Controller: ptr.To(true)}), statefulSet("db", 1)},
		refused: []string{"StatefulSet db is gone, and its pods are not yet"},
	},
	"a StatefulSet that would delete its claims": {
		claims: []string{"data-db-0"},
		objects: []client.Object{statefulSet("db", 1, func(s *appsv1.StatefulSet) {
			s.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenScaled: appsv1.DeletePersistentVolumeClaimRetentionPolicyType}
		})},
		refused: []string{"StatefulSet db has persistentVolumeClaimRetentionPolicy.whenScaled: Delete, and would delete its claims when it is scaled to 0: set it to Retain"},
	},
}

func TestUsers(t *testing.T) {
	for name, tc := range userTests {
		t.Run(name, func(t *testing.T) {
			_, w := newCluster(t, scales(tc.scales, 4), tc.objects...)
			claims := tc.claims
			if claims == nil {
				claims = []string{"data"}
			}
			users, err := w.Of(t.Context(), namespace, claims)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, workload := range users.Workloads {
				got = append(got, fmt.Sprintf("%s %s %d %s", workload.Kind, workload.Name, workload.Replicas, workload.Owner))
				if workload.UID == "" || workload.APIVersion == "" {
					t.Errorf("%s has no UID or apiVersion", workload.Name)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("workloads (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.refused, users.Refused); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTooManyUsers(t *testing.T) {
	var objects []client.Object
	for i := range Most + 1 {
		objects = append(objects, deployment(fmt.Sprintf("web-%d", i), "data", 1))
	}
	_, w := newCluster(t, interceptor.Funcs{}, objects...)
	users, err := w.Of(t.Context(), namespace, []string{"data"})
	if err != nil || len(users.Refused) != 1 || !strings.Contains(users.Refused[0], "33 workloads use the claims") {
		t.Errorf("refused are %v, %v", users.Refused, err)
	}
}

// TestNotListedIsNotNobody has an API server that fails: nobody is said to be found then.
func TestNotListedIsNotNobody(t *testing.T) {
	for _, kind := range []string{"PodList", "StatefulSetList", "DeploymentList", "ReplicaSetList"} {
		_, w := newCluster(t, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if strings.HasSuffix(fmt.Sprintf("%T", list), kind) {
				return errors.New("overloaded")
			}
			return c.List(ctx, list, options...)
		}})
		if _, err := w.Of(t.Context(), namespace, []string{"data"}); err == nil {
			t.Errorf("no error though %s is not known", kind)
		}
	}
}

func TestDescribe(t *testing.T) {
	pods := []corev1.Pod{
		*podOf("shell", "data", nil), *podOf("db-0", "data", owned("apps/v1", "StatefulSet", "db")),
		*podOf("db-1", "data", owned("apps/v1", "StatefulSet", "db")), *podOf("web-0", "data", owned("apps/v1", "ReplicaSet", "web-1")),
	}
	if got, want := Describe(pods), "1 pod of ReplicaSet web-1, 2 pods of StatefulSet db, pod shell"; got != want {
		t.Errorf("Describe = %q, want %q", got, want)
	}
}
