// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"roost.dev/roost/internal/podvolumes"
)

// check says why the pod has to stay, or nothing. It is pure.
type check func(*facts) Refusal

// ownChecks are about the pod alone, wherever it runs.
var ownChecks = []check{
	checkDaemonSet,
	checkStatic,
	checkController,
	checkAnnotation,
}

// checks are asked in this order: what a person decided, what data allows, what the moment allows.
var checks = append(ownChecks[:len(ownChecks):len(ownChecks)],
	checkClaims,
	checkHostPaths,
	checkCopies,
	checkArrival,
	checkOtherNode,
)

// judge returns the first refusal.
func judge(f *facts, checks []check) Refusal {
	for _, check := range checks {
		if refusal := check(f); refusal.Reason != "" {
			return refusal
		}
	}
	return Refusal{}
}

// maxMessage is what a StorageNode's status takes, in bytes.
const maxMessage = 512

func refuse(reason, format string, args ...any) Refusal {
	message := fmt.Sprintf(format, args...)
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage-len("...")], "") + "..."
	}
	return Refusal{Reason: reason, Message: message}
}

func checkDaemonSet(f *facts) Refusal {
	if owner := metav1.GetControllerOfNoCopy(f.pod); owner != nil && owner.Kind == "DaemonSet" {
		return refuse(DaemonSetPod, "the pod is the node's own of DaemonSet %s, and could run on no other node", owner.Name)
	}
	return Refusal{}
}

func checkStatic(f *facts) Refusal {
	_, mirror := f.pod.Annotations[corev1.MirrorPodAnnotationKey]
	owner := metav1.GetControllerOfNoCopy(f.pod)
	if mirror || owner != nil && owner.Kind == "Node" {
		return refuse(StaticPod, "the pod is static: the kubelet of %s runs it from a file", f.pod.Spec.NodeName)
	}
	return Refusal{}
}

func checkController(f *facts) Refusal {
	if metav1.GetControllerOfNoCopy(f.pod) == nil {
		return refuse(NotControlled, "no controller would make the pod again; delete it by hand if it can be spared")
	}
	return Refusal{}
}

// unbound tells what is wrong with a claim.
var unbound = map[podvolumes.Status]string{
	podvolumes.WaitingForConsumer: "is not bound",
	podvolumes.WaitingForVolume:   "is not bound",
	podvolumes.VolumeLost:         "has lost its PersistentVolume",
	podvolumes.ClaimMissing:       "does not exist",
	podvolumes.ClaimForeign:       "was not made for this pod",
}

func checkClaims(f *facts) Refusal {
	for i := range f.volumes {
		if v := &f.volumes[i]; v.Status != podvolumes.Bound {
			return refuse(ClaimNotBound, "claim %s of the pod %s: elsewhere the pod could not start", v.ClaimName, unbound[v.Status])
		}
	}
	return Refusal{}
}

// checkHostPaths refuses what the pod writes into directories of the node. What it only reads is the node's, not the pod's.
func checkHostPaths(f *facts) Refusal {
	for i := range f.pod.Spec.Volumes {
		v := &f.pod.Spec.Volumes[i]
		if v.HostPath != nil && writes(f.pod, v.Name) {
			return refuse(PinnedVolume, "the pod writes to directory %s of %s (hostPath volume %s), which is on no other node; mount it read-only if it holds no data",
				v.HostPath.Path, f.node, v.Name)
		}
	}
	return Refusal{}
}

// writes says whether any container mounts the volume other than read-only.
func writes(pod *corev1.Pod, volume string) bool {
	writable := func(mounts []corev1.VolumeMount) bool {
		for i := range mounts {
			if mounts[i].Name == volume && !mounts[i].ReadOnly {
				return true
			}
		}
		return false
	}
	for i := range pod.Spec.InitContainers {
		if writable(pod.Spec.InitContainers[i].VolumeMounts) {
			return true
		}
	}
	for i := range pod.Spec.Containers {
		if writable(pod.Spec.Containers[i].VolumeMounts) {
			return true
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if writable(pod.Spec.EphemeralContainers[i].VolumeMounts) {
			return true
		}
	}
	return false
}

// checkArrival leaves alone for a while what came when the storage had failed already: a scheduler that does not know would
// place it here again, round in circles.
func checkArrival(f *facts) Refusal {
	arrived := arrival(f.pod)
	if f.terminating() || f.failedSince.IsZero() || !arrived.After(f.failedSince) {
		return Refusal{}
	}
	if until := arrived.Add(f.grace); f.now.Before(until) {
		return refuse(JustArrived, "the pod came to %s when its storage had failed already, and is left alone until %s; see why its scheduler placed it there",
			f.node, until.UTC().Format(time.RFC3339))
	}
	return Refusal{}
}

// arrival is when the pod was bound to its node, as well as that is known.
func arrival(pod *corev1.Pod) time.Time {
	for i := range pod.Status.Conditions {
		condition := &pod.Status.Conditions[i]
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionTrue && !condition.LastTransitionTime.IsZero() {
			return condition.LastTransitionTime.Time
		}
	}
	if pod.Status.StartTime != nil {
		return pod.Status.StartTime.Time
	}
	return pod.CreationTimestamp.Time
}
