// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"roost.dev/roost/drivers"
)

func TestRegistrationPathNamesTheDriver(t *testing.T) {
	const socket = "/var/lib/kubelet/plugins/csi.roost.dev/csi.sock"
	for name, tc := range map[string]struct {
		container corev1.Container
		want      string
	}{
		"one word":                  {want: driver, container: corev1.Container{Args: []string{"-v=5", "--kubelet-registration-path=" + socket}}},
		"one dash":                  {want: driver, container: corev1.Container{Args: []string{"-kubelet-registration-path=" + socket}}},
		"two words":                 {want: driver, container: corev1.Container{Args: []string{"--kubelet-registration-path", socket, "-v=5"}}},
		"in the command":            {want: driver, container: corev1.Container{Command: []string{"registrar", "--kubelet-registration-path=" + socket}}},
		"in a shell's command line": {want: driver, container: corev1.Container{Command: []string{"sh", "-c", "registrar --kubelet-registration-path='" + socket + "'"}}},
		"through a variable": {want: driver, container: corev1.Container{
			Args: []string{"--kubelet-registration-path=$(SOCKET)"}, Env: []corev1.EnvVar{{Name: "SOCKET", Value: socket}},
		}},
		"through a variable, of which it is a part": {want: driver, container: corev1.Container{
			Args: []string{"--kubelet-registration-path=$(ROOT)/plugins/csi.roost.dev/csi.sock"},
			Env:  []corev1.EnvVar{{Name: "OTHER", Value: "x"}, {Name: "ROOT", Value: "/data/kubelet"}},
		}},
		"in a directory below":     {want: driver, container: corev1.Container{Args: []string{"--kubelet-registration-path=/k/plugins/csi.roost.dev/v2/csi.sock"}}},
		"without a directory":      {container: corev1.Container{Args: []string{"--kubelet-registration-path=/var/lib/kubelet/plugins/csi.sock"}}},
		"somewhere else":           {container: corev1.Container{Args: []string{"--kubelet-registration-path=/csi/csi.roost.dev/csi.sock"}}},
		"an unknown variable":      {container: corev1.Container{Args: []string{"--kubelet-registration-path=$(SOCKET)"}}},
		"no value":                 {container: corev1.Container{Args: []string{"--kubelet-registration-path"}}},
		"another flag with a path": {container: corev1.Container{Args: []string{"--csi-address=" + socket, "--kubelet-registration-path-too=" + socket}}},
		"a path in a variable of something else": {container: corev1.Container{
			Args: []string{"--endpoint=$(SOCKET)"}, Env: []corev1.EnvVar{{Name: "SOCKET", Value: socket}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := registers(&tc.container); got != tc.want {
				t.Errorf("the container registers %q, want %q", got, tc.want)
			}
		})
	}
}

// newLosingPod is the running node's pod, not ready for long, after a change.
func newLosingPod(t *testing.T, plugin []NodePlugin, change func(*corev1.Pod)) *seen {
	t.Helper()
	s := newSeen(t, plugin...)
	s.nodeChanged(newNodeIn(corev1.ConditionTrue, today.Add(-time.Hour)))
	s.csiNodeChanged(newCSINode(today.Add(-time.Hour), driver))
	pod := newPluginPod("plugin-1", "1", false)
	change(pod)
	s.podChanged(pod)
	s.wait(time.Hour)
	return s
}

func TestPodsThatAreNodePlugins(t *testing.T) {
	selector, err := labels.Parse("app=plugin")
	if err != nil {
		t.Fatalf("parsing a selector: %v", err)
	}
	configured := []NodePlugin{{Provisioner: driver, Namespace: "storage", Selector: selector}}
	bare := func(pod *corev1.Pod) { pod.Spec.Containers, pod.OwnerReferences = nil, nil }
	for name, tc := range map[string]struct {
		plugins []NodePlugin
		change  func(*corev1.Pod)
		want    drivers.StorageState
	}{
		"by the registration path":                {change: func(*corev1.Pod) {}, want: drivers.Degraded},
		"not those of a Deployment":               {change: func(pod *corev1.Pod) { pod.OwnerReferences[0].Kind = "ReplicaSet" }, want: drivers.Online},
		"not those without owner":                 {change: bare, want: drivers.Online},
		"not those without a node":                {change: func(pod *corev1.Pod) { pod.Spec.NodeName = "" }, want: drivers.Online},
		"by the configured selector":              {plugins: configured, change: bare, want: drivers.Degraded},
		"by the configured selector, not others":  {plugins: configured, change: func(pod *corev1.Pod) { bare(pod); pod.Labels = nil }, want: drivers.Online},
		"by the configured selector, not outside": {plugins: configured, change: func(pod *corev1.Pod) { bare(pod); pod.Namespace = "other" }, want: drivers.Online},
	} {
		t.Run(name, func(t *testing.T) {
			newLosingPod(t, tc.plugins, tc.change).check("in the end", tc.want)
		})
	}
}

func TestDirectoryThatIsNoDriversNameIsNone(t *testing.T) {
	s := newLosingPod(t, nil, func(pod *corev1.Pod) {
		pod.Spec.Containers[1].Args = []string{"--kubelet-registration-path=/var/lib/kubelet/plugins/csi-roost/csi.sock"}
	})
	if report, ok := s.NodeReport("csi-roost", node); ok {
		t.Errorf("the report of a driver that never was registered anywhere is %+v, want none", report)
	}
	s.check("the driver that is registered", drivers.Online)
}

func TestPodThatRegistersOneDriverTwice(t *testing.T) {
	s := newSeen(t)
	pod := newPluginPod("twice", "1", true)
	pod.Spec.Containers = append(pod.Spec.Containers, pod.Spec.Containers[1])
	s.podChanged(pod)
	s.podDeleted(pod)
	if parts := len(s.health.parts); parts != 0 {
		t.Errorf("%d parts are kept after it has gone, want none", parts)
	}
}

func TestPodIsANodePluginOnceItHasANode(t *testing.T) {
	s := newLosingPod(t, nil, func(pod *corev1.Pod) { pod.Spec.NodeName = "" })
	s.podChanged(newPluginPod("plugin-1", "1", false))
	s.wait(time.Hour)
	s.check("on its node", drivers.Degraded)
}

func TestDriverThatIsSeenOnAnotherNodeLater(t *testing.T) {
	s := newSeen(t)
	s.nodeChanged(newNodeIn(corev1.ConditionTrue, today.Add(-time.Hour)))
	s.podChanged(newPluginPod("plugin-1", "1", true))
	s.wait(time.Hour)
	s.checkNotKnown("a node plugin of what may be no driver")
	s.know(driver)
	s.check("once it is one", drivers.Degraded)
	if diff := cmp.Diff([]drivers.Change{{Provisioner: driver, Node: node}}, s.told); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestNewNamesWhatHealthLacks(t *testing.T) {
	complete := newSeen(t)
	for want, change := range map[string]func(*Options){
		"client is missing":                         func(o *Options) { o.Client = nil },
		"clock is missing":                          func(o *Options) { o.Clock = nil },
		"leases are missing":                        func(o *Options) { o.Health.Leases = nil },
		"PluginNotReadyAfter is 0s":                 func(o *Options) { o.Health.PluginNotReadyAfter = 0 },
		"BootGrace is -1s, want more than 0":        func(o *Options) { o.Health.BootGrace = -time.Second },
		"LeaseStaleAfter is 0s, want more than 0":   func(o *Options) { o.Health.LeaseStaleAfter = 0 },
		"AttachErrorsAfter is 0s, want more than 0": func(o *Options) { o.Health.AttachErrorsAfter = 0 },
		"NodePlugins[0] lacks":                      func(o *Options) { o.Health.NodePlugins = []NodePlugin{{Provisioner: driver}} },
	} {
		t.Run(want, func(t *testing.T) {
			options := newOptions(complete)
			if _, err := New(options); err != nil {
				t.Fatalf("New with all that it needs fails: %v", err)
			}
			change(&options)
			if _, err := New(options); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v, want %q", err, want)
			}
		})
	}
}

func TestWithoutHealthThereIsNeitherHealthNorFencer(t *testing.T) {
	if d := newSource(t).Driver(); d.Health != nil || d.Fencer != nil {
		t.Errorf("the driver has health %v and fencer %v, want neither", d.Health, d.Fencer)
	}
	if d := newSeen(t).Driver(); d.Health == nil || d.Fencer == nil || d.LocatesAll {
		t.Errorf("with health the driver has health %v and fencer %v, want both", d.Health, d.Fencer)
	}
}
