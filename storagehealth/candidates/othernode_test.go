// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
)

func noNode(failed string) Refusal {
	return Refusal{NoOtherNode, "none of the 2 other nodes could run the pod: " + failed}
}

func taint(node *corev1.Node, effect corev1.TaintEffect) {
	node.Spec.Taints = []corev1.Taint{{Key: "dedicated", Value: "gpu", Effect: effect}}
}

var otherNodeTests = map[string]checkTest{
	"one of them cordoned": {change: func(w *world) { w.node2.Spec.Unschedulable = true }},
	"all of them cordoned": {
		change: func(w *world) { w.node2.Spec.Unschedulable, w.node3.Spec.Unschedulable = true, true },
		want:   noNode("2 cordoned, or with a taint that the pod does not tolerate"),
	},
	"all of them cordoned, and the pod is on its way out": {change: func(w *world) {
		deleting(w.db)
		w.node2.Spec.Unschedulable, w.node3.Spec.Unschedulable = true, true
	}},
	"tainted": {
		change: func(w *world) {
			taint(w.node2, corev1.TaintEffectNoSchedule)
			taint(w.node3, corev1.TaintEffectNoExecute)
		},
		want: noNode("2 cordoned, or with a taint that the pod does not tolerate"),
	},
	"tainted, softly": {change: func(w *world) {
		taint(w.node2, corev1.TaintEffectPreferNoSchedule)
		taint(w.node3, corev1.TaintEffectNoSchedule)
	}},
	"tainted, and tolerated": {change: func(w *world) {
		taint(w.node2, corev1.TaintEffectNoSchedule)
		taint(w.node3, corev1.TaintEffectNoSchedule)
		w.db.Spec.Tolerations = []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpExists}}
	}},
	"the pod's node selector": {
		change: func(w *world) { w.db.Spec.NodeSelector = map[string]string{"disk": "ssd"} },
		want:   noNode("2 outside the pod's node affinity"),
	},
	"the pod's node selector matches one": {change: func(w *world) {
		w.db.Spec.NodeSelector = map[string]string{"disk": "ssd"}
		w.node3.Labels["disk"] = "ssd"
	}},
	"no CSI driver": {
		change: func(w *world) { w.csiNode2.Spec.Drivers, w.csiNode3.Name = nil, "node-9" },
		want:   noNode("2 without the CSI driver"),
	},
	"the storage is bad where there is no copy": {
		change: func(w *world) { w.node2.Spec.Unschedulable = true; w.reports["node-3"] = drivers.Offline },
		want:   noNode("1 cordoned, or with a taint that the pod does not tolerate, 1 with storage that takes no pods"),
	},
	"Roost keeps pods away where there is no copy": {
		change: func(w *world) { w.node2.Spec.Unschedulable = true; w.unusable["node-3"] = true },
		want:   noNode("1 cordoned, or with a taint that the pod does not tolerate, 1 with storage that takes no pods"),
	},
	"the volume is used only where it has copies": {
		change: func(w *world) { w.node2.Spec.Unschedulable = true; w.locations["data"] = pinnedTo("node-1", "node-2") },
		want: noNode("1 cordoned, or with a taint that the pod does not tolerate, " +
			"1 without a copy of a volume that is used only where it has copies"),
	},
	"the copy elsewhere is behind, of a volume used only where it has copies": {
		change: func(w *world) {
			w.node2.Spec.Unschedulable = true
			w.locations["data"] = pinnedTo("node-1", "node-2", "node-3")
			w.locations["data"].Replicas[2].State = drivers.Stale
		},
		want: noNode("1 cordoned, or with a taint that the pod does not tolerate, " +
			"1 without a copy of a volume that is used only where it has copies"),
	},
	"one of them not Ready, the other cordoned": {
		change: func(w *world) { w.node2.Spec.Unschedulable = true; notReady(w.node3) },
		want:   noNode("1 not Ready, 1 cordoned, or with a taint that the pod does not tolerate"),
	},
	"two volumes that have no other node in common": {
		change: func(w *world) {
			w.dataPV.Spec.NodeAffinity = builders.MakePV("").OnNodes("node-1", "node-2").Spec.NodeAffinity
			w.add("logs", builders.MakePV("pv-logs").CSI(other, "logs").OnNodes("node-1", "node-3"))
		},
		want: noNode("2 outside a volume's node affinity"),
	},
	"two volumes with one other node in common": {change: func(w *world) {
		w.dataPV.Spec.NodeAffinity = builders.MakePV("").OnNodes("node-1", "node-2", "node-3").Spec.NodeAffinity
		w.add("logs", builders.MakePV("pv-logs").CSI(other, "logs").OnNodes("node-1", "node-3"))
	}},
	"the failing node is no other node": {
		change: func(w *world) { w.node2.Name, w.node3.Name = "node-1", "node-1"; delete(w.locations, "data") },
		want:   Refusal{OnlyCopy, "volume data can be used on no other node: the cluster has none"},
	},
}

func TestOtherNode(t *testing.T) { runChecks(t, otherNodeTests) }
