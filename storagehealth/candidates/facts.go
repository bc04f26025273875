// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/podvolumes"
)

// facts are all that the checks know of a pod and its surroundings.
type facts struct {
	pod         *corev1.Pod
	volumes     []volume
	provisioner string
	node        string
	failedSince time.Time
	now         time.Time
	others      *others
	byDefault   managerv1alpha1.Default
	grace       time.Duration
}

// volume is a volume of the pod with what is known of where it is.
type volume struct {
	podvolumes.Volume
	answer drivers.Answer
	// affinity is nil where the PersistentVolume has none.
	affinity *nodeaffinity.LazyErrorNodeSelector
}

// gather collects the facts of every pod on the node that uses the provisioner, by namespace and name. A volume is looked up
// once a pod, and a node's storage once a provisioner.
func (f *Finder) gather(provisioner, node string, failedSince time.Time) ([]*facts, error) {
	var gathered []*facts
	var rest *others
	for _, pod := range f.withClaims(node) {
		resolved, err := f.resolver.Resolve(pod)
		if err != nil {
			return nil, fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
		if !uses(resolved, provisioner) {
			continue
		}
		if rest == nil {
			if rest, err = f.otherNodes(node); err != nil {
				return nil, err
			}
		}
		about := f.factsOf(pod, resolved)
		about.provisioner, about.node, about.failedSince, about.others = provisioner, node, failedSince, rest
		f.locate(about)
		gathered = append(gathered, about)
	}
	slices.SortFunc(gathered, func(a, b *facts) int { return comparePods(a.pod, b.pod) })
	return gathered, nil
}

// factsOf are the facts of a pod alone: enough for ownChecks.
func (f *Finder) factsOf(pod *corev1.Pod, resolved []podvolumes.Volume) *facts {
	volumes := make([]volume, len(resolved))
	for i := range resolved {
		volumes[i].Volume = resolved[i]
	}
	return &facts{
		pod:       pod,
		volumes:   volumes,
		now:       f.options.Clock.Now(),
		byDefault: f.options.Default,
		grace:     f.options.ArrivalGrace,
	}
}

// locate adds to the pod's volumes where they are, and what the other nodes offer them.
func (f *Finder) locate(about *facts) {
	for i := range about.volumes {
		v := &about.volumes[i]
		if v.PV != nil && v.PV.Spec.NodeAffinity != nil && v.PV.Spec.NodeAffinity.Required != nil {
			v.affinity = nodeaffinity.NewLazyErrorNodeSelector(v.PV.Spec.NodeAffinity.Required)
		}
		if v.ID != (drivers.VolumeID{}) {
			v.answer = f.options.Storage.Locate(v.ID)
			f.offer(about.others, v.ID.Provisioner, about.node)
		}
	}
}

func (f *facts) resolved() []podvolumes.Volume {
	resolved := make([]podvolumes.Volume, len(f.volumes))
	for i := range f.volumes {
		resolved[i] = f.volumes[i].Volume
	}
	return resolved
}

// terminating pods are already on their way: what is still to be judged is whether their end may be forced.
func (f *facts) terminating() bool { return f.pod.DeletionTimestamp != nil }

// allows says whether the PersistentVolume's node affinity matches the node. A node affinity that cannot be parsed matches none.
func (v *volume) allows(node *corev1.Node) bool {
	if v.affinity == nil {
		return true
	}
	matches, err := v.affinity.Match(node)
	return err == nil && matches
}

// onThisMachine says that the volume is a disk or a directory, and no storage system's.
func onThisMachine(provisioner string) bool {
	return provisioner == drivers.LocalVolume || provisioner == drivers.HostPath
}
