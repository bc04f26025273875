// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// registrationPath is the flag of node-driver-registrar that tells the kubelet where the driver's socket is. By
// convention that is in /var/lib/kubelet/plugins, in a directory that has the driver's name.
const registrationPath = "-kubelet-registration-path"

// pluginPod is a pod of CSI node plugins.
type pluginPod struct {
	parts    []part
	ready    bool
	revision string
	// since is when it was first seen.
	since time.Time
}

// setPod returns the parts whose report may have changed.
func (h *health) setPod(object *corev1.Pod) []part {
	key := object.Namespace + "/" + object.Name
	pod := h.pods[key]
	if pod == nil {
		provisioners := h.provisionersOf(object)
		if object.Spec.NodeName == "" || len(provisioners) == 0 {
			return nil
		}
		pod = &pluginPod{revision: object.Labels[appsv1.DefaultDaemonSetUniqueLabelKey], since: h.clock.Now()}
		for _, provisioner := range provisioners {
			p := part{provisioner: provisioner, node: object.Spec.NodeName}
			pod.parts = append(pod.parts, p)
			facts := h.part(p)
			facts.pods[pod], facts.hasPlugin = struct{}{}, true
		}
		h.pods[key] = pod
	}
	pod.ready = podReady(object)
	for _, p := range pod.parts {
		h.settle(p)
	}
	return pod.parts
}

// removePod returns the parts whose report may have changed.
func (h *health) removePod(object *corev1.Pod) []part {
	key := object.Namespace + "/" + object.Name
	pod := h.pods[key]
	if pod == nil {
		return nil
	}
	delete(h.pods, key)
	for _, p := range pod.parts {
		delete(h.parts[p].pods, pod)
		h.settle(p)
	}
	return pod.parts
}

// provisionersOf are the drivers whose node plugin the pod is, each once. Where it was configured, that counts.
func (h *health) provisionersOf(pod *corev1.Pod) []string {
	var provisioners []string
	for _, plugin := range h.options.NodePlugins {
		if plugin.Namespace == pod.Namespace && plugin.Selector.Matches(labels.Set(pod.Labels)) {
			provisioners = append(provisioners, plugin.Provisioner)
		}
	}
	if len(provisioners) == 0 {
		provisioners = registeredBy(pod)
	}
	slices.Sort(provisioners)
	return slices.Compact(provisioners)
}

// registeredBy are the drivers that containers of a DaemonSet's pod register with the kubelet.
func registeredBy(pod *corev1.Pod) []string {
	if owner := metav1.GetControllerOf(pod); owner == nil || owner.Kind != "DaemonSet" {
		return nil
	}
	var provisioners []string
	for i := range pod.Spec.Containers {
		if provisioner := registers(&pod.Spec.Containers[i]); provisioner != "" {
			provisioners = append(provisioners, provisioner)
		}
	}
	return provisioners
}

// registers is the driver that the container registers with the kubelet, empty where it registers none. Its flag may come
// as one word or two, in a shell's command line, and through environment variables.
func registers(container *corev1.Container) string {
	var references []string
	for _, variable := range container.Env {
		references = append(references, "$("+variable.Name+")", variable.Value, "${"+variable.Name+"}", variable.Value)
	}
	line := strings.Join(append(append([]string{}, container.Command...), container.Args...), " ")
	words := strings.Fields(strings.NewReplacer(references...).Replace(line))
	for i, word := range words {
		_, value, found := strings.Cut(word, registrationPath)
		switch {
		case !found:
		case strings.HasPrefix(value, "="):
			return pluginOf(value[1:])
		case value == "" && i+1 < len(words):
			return pluginOf(words[i+1])
		}
	}
	return ""
}

// pluginOf is the name of the directory in plugins that the socket is in, empty where there is none.
func pluginOf(socket string) string {
	_, below, found := strings.Cut(socket, "/plugins/")
	name, _, isDirectory := strings.Cut(below, "/")
	if !found || !isDirectory {
		return ""
	}
	return name
}

func podReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
