// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
)

// checkTest changes the world that newWorld makes, in which db-0 can be moved, and says what becomes of db-0.
type checkTest struct {
	change func(*world)
	want   Refusal
}

func runChecks(t *testing.T, tests map[string]checkTest) {
	t.Helper()
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			tc.change(w)
			found := w.onNode(t)
			if len(found) != 1 || found[0].Pod.Name != "db-0" {
				t.Fatalf("candidates = %v, want db-0 alone", names(found))
			}
			if diff := cmp.Diff(tc.want, found[0].Refusal); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
		})
	}
}

func names(found []Candidate) []string {
	var names []string
	for i := range found {
		names = append(names, found[i].Pod.Namespace+"/"+found[i].Pod.Name)
	}
	return names
}

func TestWhoThePodIs(t *testing.T) {
	runChecks(t, map[string]checkTest{
		"a StatefulSet's": {change: func(*world) {}},
		"a DaemonSet's": {
			change: func(w *world) { w.db.OwnerReferences[0].Kind = "DaemonSet" },
			want:   Refusal{DaemonSetPod, "the pod is the node's own of DaemonSet db, and could run on no other node"},
		},
		"with a DaemonSet that owns it and does not control it": {change: func(w *world) {
			w.db.OwnerReferences = append(w.db.OwnerReferences, metav1.OwnerReference{Kind: "DaemonSet", Name: "agent"})
		}},
		"the mirror of a static pod": {
			change: func(w *world) { w.db.Annotations[corev1.MirrorPodAnnotationKey] = "hash" },
			want:   Refusal{StaticPod, "the pod is static: the kubelet of node-1 runs it from a file"},
		},
		"a node's": {
			change: func(w *world) { w.db.OwnerReferences[0].Kind = "Node" },
			want:   Refusal{StaticPod, "the pod is static: the kubelet of node-1 runs it from a file"},
		},
		"nobody's": {
			change: func(w *world) { w.db.OwnerReferences = nil },
			want:   Refusal{NotControlled, "no controller would make the pod again; delete it by hand if it can be spared"},
		},
		"owned and not controlled": {
			change: func(w *world) { w.db.OwnerReferences[0].Controller = nil },
			want:   Refusal{NotControlled, "no controller would make the pod again; delete it by hand if it can be spared"},
		},
		"nobody's, with the annotation": {
			change: func(w *world) { w.db.OwnerReferences = nil; w.db.Annotations[Annotation] = "Enabled" },
			want:   Refusal{NotControlled, "no controller would make the pod again; delete it by hand if it can be spared"},
		},
	})
}

func annotate(object metav1.Object, value string) {
	object.SetAnnotations(map[string]string{Annotation: value})
}

func disabled(object string) Refusal {
	return Refusal{FailoverDisabled, "annotation roost.dev/failover of " + object + " is Disabled"}
}

func bad(object string) Refusal {
	return Refusal{BadAnnotation, "annotation roost.dev/failover of " + object + ` is "no"; allowed are Enabled and Disabled`}
}

var annotationTests = map[string]checkTest{
	"Disabled on the pod":         {change: func(w *world) { annotate(w.db, "Disabled") }, want: disabled("the pod")},
	"Disabled on the claim":       {change: func(w *world) { annotate(w.data, "Disabled") }, want: disabled("claim data")},
	"Disabled on the class":       {change: func(w *world) { annotate(w.fast, "Disabled") }, want: disabled("StorageClass fast")},
	"the pod over the claim":      {change: func(w *world) { annotate(w.db, "Enabled"); annotate(w.data, "Disabled") }},
	"the pod over the class":      {change: func(w *world) { annotate(w.db, "Enabled"); annotate(w.fast, "Disabled") }},
	"the pod against the claim":   {change: func(w *world) { annotate(w.db, "Disabled"); annotate(w.data, "Enabled") }, want: disabled("the pod")},
	"the claim over the class":    {change: func(w *world) { annotate(w.data, "Enabled"); annotate(w.fast, "Disabled") }},
	"the claim against the class": {change: func(w *world) { annotate(w.data, "Disabled"); annotate(w.fast, "Enabled") }, want: disabled("claim data")},
	"one of two claims": {
		change: func(w *world) {
			annotate(w.data, "Enabled")
			annotate(w.add("logs", builders.MakePV("pv-logs").CSI(csi, "logs")), "Disabled")
		},
		want: disabled("claim logs"),
	},
	"one claim's Enabled does not speak for the other's class": {
		change: func(w *world) {
			annotate(w.fast, "Disabled")
			annotate(w.add("logs", builders.MakePV("pv-logs").CSI(csi, "logs")), "Enabled")
		},
		want: disabled("StorageClass fast"),
	},
	"both claims Enabled": {change: func(w *world) {
		annotate(w.data, "Enabled")
		annotate(w.add("logs", builders.MakePV("pv-logs").CSI(csi, "logs")), "Enabled")
	}},
	"a bad value on the pod":               {change: func(w *world) { annotate(w.db, "no") }, want: bad("the pod")},
	"a bad value on the claim":             {change: func(w *world) { annotate(w.data, "no") }, want: bad("claim data")},
	"a bad value on the class":             {change: func(w *world) { annotate(w.fast, "no") }, want: bad("StorageClass fast")},
	"a bad value that the pod speaks over": {change: func(w *world) { annotate(w.db, "Enabled"); annotate(w.data, "no") }},
	"an empty value":                       {change: func(w *world) { annotate(w.db, "") }, want: Refusal{BadAnnotation, `annotation roost.dev/failover of the pod is ""; allowed are Enabled and Disabled`}},
	"nobody speaks, and the default is Disabled": {
		change: func(w *world) { w.options.Default = managerv1alpha1.Disabled },
		want: Refusal{FailoverDisabled, "pods are not moved by default (storageHealth.failover.default); " +
			"annotate the pod, its claim or its StorageClass with roost.dev/failover: Enabled to have it moved"},
	},
	"the class over the default": {change: func(w *world) { w.options.Default = managerv1alpha1.Disabled; annotate(w.fast, "Enabled") }},
}

func TestAnnotation(t *testing.T) { runChecks(t, annotationTests) }

func TestClaims(t *testing.T) {
	runChecks(t, map[string]checkTest{
		"the PersistentVolume belongs to another claim": {
			change: func(w *world) { w.dataPV.Spec.ClaimRef.UID = "other" },
			want:   Refusal{ClaimNotBound, "claim data of the pod has lost its PersistentVolume: elsewhere the pod could not start"},
		},
		"another claim is missing": {
			change: func(w *world) { w.db.Spec.Volumes = append(w.db.Spec.Volumes, claimVolume("logs")) },
			want:   Refusal{ClaimNotBound, "claim logs of the pod does not exist: elsewhere the pod could not start"},
		},
		"another claim is not bound": {
			change: func(w *world) {
				w.db.Spec.Volumes = append(w.db.Spec.Volumes, claimVolume("logs"))
				w.objects = append(w.objects, builders.MakeClaim("logs").Class("fast").Obj())
			},
			want: Refusal{ClaimNotBound, "claim logs of the pod is not bound: elsewhere the pod could not start"},
		},
		"the claim is being deleted and still bound": {change: func(w *world) { w.data.DeletionTimestamp = &metav1.Time{Time: now} }},
	})
}

// hostPath mounts a directory of the node into a container.
func hostPath(w *world, readOnly bool) {
	w.db.Spec.Volumes = append(w.db.Spec.Volumes, corev1.Volume{Name: "cache", VolumeSource: corev1.VolumeSource{
		HostPath: &corev1.HostPathVolumeSource{Path: "/var/cache"},
	}})
	w.db.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "cache", ReadOnly: readOnly}}
}

func TestHostPaths(t *testing.T) {
	refused := Refusal{PinnedVolume, "the pod writes to directory /var/cache of node-1 (hostPath volume cache), which is on no other node; mount it read-only if it holds no data"}
	runChecks(t, map[string]checkTest{
		"mounted to be written": {change: func(w *world) { hostPath(w, false) }, want: refused},
		"mounted read-only":     {change: func(w *world) { hostPath(w, true) }},
		"read-only in one, written in an init container": {
			change: func(w *world) {
				hostPath(w, true)
				w.db.Spec.InitContainers = []corev1.Container{{VolumeMounts: []corev1.VolumeMount{{Name: "cache"}}}}
			},
			want: refused,
		},
		"read-only in one, written in an ephemeral container": {
			change: func(w *world) {
				hostPath(w, true)
				w.db.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
					VolumeMounts: []corev1.VolumeMount{{Name: "cache"}},
				}}}
			},
			want: refused,
		},
		"volumes without data of their own are written": {change: func(w *world) {
			w.db.Spec.Volumes = append(w.db.Spec.Volumes,
				corev1.Volume{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				corev1.Volume{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}},
				corev1.Volume{Name: "inline", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "secrets"}}})
			w.db.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "tmp"}, {Name: "token"}, {Name: "inline"}}
		}},
	})
}

func TestArrival(t *testing.T) {
	refused := Refusal{JustArrived, "the pod came to node-1 when its storage had failed already, and is left alone until 2026-01-01T12:04:30Z; see why its scheduler placed it there"}
	runChecks(t, map[string]checkTest{
		"after the failure":                 {change: func(w *world) { boundAt(w.db, now.Add(-30*time.Second)) }, want: refused},
		"just before the failure":           {change: func(w *world) { boundAt(w.db, failedSince.Add(-time.Second)) }},
		"at the failure":                    {change: func(w *world) { boundAt(w.db, failedSince) }},
		"after the failure, the grace over": {change: func(w *world) { boundAt(w.db, now.Add(-30*time.Second)); w.options.ArrivalGrace = 30 * time.Second }},
		"after the failure, no condition says so": {
			change: func(w *world) {
				w.db.Status.Conditions = nil
				w.db.Status.StartTime = &metav1.Time{Time: now.Add(-30 * time.Second)}
			},
			want: refused,
		},
		"made after the failure, nothing else is known": {
			change: func(w *world) {
				w.db.Status.Conditions = nil
				w.db.CreationTimestamp = metav1.Time{Time: now.Add(-30 * time.Second)}
			},
			want: refused,
		},
		"made after the failure is not bound after it": {change: func(w *world) {
			w.db.CreationTimestamp = metav1.Time{Time: now.Add(-30 * time.Second)}
		}},
		"after the failure, and on its way out": {change: func(w *world) { deleting(boundAt(w.db, now.Add(-30*time.Second))) }},
	})
}

func TestTerminatingPodsAreStillJudgedByTheirData(t *testing.T) {
	runChecks(t, map[string]checkTest{
		"a copy elsewhere": {change: func(w *world) { deleting(w.db) }},
		"the only copy": {
			change: func(w *world) { deleting(w.db); w.locations["data"] = on("node-1") },
			want:   Refusal{OnlyCopy, "volume data has its only copy on node-1; it comes back with the node"},
		},
		"Disabled": {
			change: func(w *world) { deleting(w.db); annotate(w.db, "Disabled") },
			want:   Refusal{FailoverDisabled, "annotation roost.dev/failover of the pod is Disabled"},
		},
	})
}

func TestMessagesFitIntoAStatus(t *testing.T) {
	w := newWorld()
	long := strings.Repeat("n", 250)
	w.locations["data"] = drivers.Answer{Knowledge: drivers.Known, Location: drivers.Location{
		Replicas: []drivers.Replica{{Node: "node-1"}, {Node: long + "1"}, {Node: long + "2"}, {Node: long + "3"}},
	}}
	message := w.onNode(t)[0].Refusal.Message
	if len(message) != maxMessage || !strings.HasSuffix(message, "...") {
		t.Errorf("message has %d bytes and ends in %q, want %d bytes and ...", len(message), message[len(message)-3:], maxMessage)
	}
}
