// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"roost.dev/roost/plugins"
)

// watchPods follows the pods that are widened. A pod that failed an attempt is put into back-off, for seconds when the
// scheduler is busy; it is taken out of there as soon as its status says that more nodes are to be tried, which the
// scheduler writes after it has put the pod back. A pod that is deleted is forgotten.
func (pl *VolumeLocality) watchPods(logger klog.Logger, pods cache.SharedIndexInformer) error {
	_, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(before, after any) {
			was, is := before.(*corev1.Pod), after.(*corev1.Pod)
			if saysWidening(is) && !saysSame(was, is) {
				pl.activate(logger, is)
			}
		},
		DeleteFunc: plugins.OnDelete(pl.forget).DeleteFunc,
	})
	return err
}

// forget drops all that is remembered of a pod that is bound or gone.
func (pl *VolumeLocality) forget(pod types.UID) {
	pl.levels.forget(pod)
	pl.notes.take(pod)
	pl.firsts.forget(pod)
	pl.alarms.forget(pod)
	pl.waiting.forget(pod)
	pl.roomless.forget(pod)
}

func (pl *VolumeLocality) activate(logger klog.Logger, pod *corev1.Pod) {
	pl.handle.Activate(logger, map[string]*corev1.Pod{klog.KObj(pod).String(): pod})
}

// saysWidening says that the pod's last attempt was one of ours to widen.
func saysWidening(pod *corev1.Pod) bool {
	return pod.Spec.NodeName == "" && strings.Contains(whyUnscheduled(pod), reasonWidening)
}

func saysSame(a, b *corev1.Pod) bool {
	return whyUnscheduled(a) == whyUnscheduled(b)
}

func whyUnscheduled(pod *corev1.Pod) string {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Message
		}
	}
	return ""
}
