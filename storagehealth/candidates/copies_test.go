// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
)

func noUsableCopy(problem string) Refusal {
	return Refusal{OnlyCopy, "volume data has no copy outside node-1 that can be used: " + problem}
}

var copiesTests = map[string]checkTest{
	"the only copy": {
		change: func(w *world) { w.locations["data"] = on("node-1") },
		want:   Refusal{OnlyCopy, "volume data has its only copy on node-1; it comes back with the node"},
	},
	"the only copy of a pinned volume": {
		change: func(w *world) { w.locations["data"] = pinnedTo("node-1") },
		want:   Refusal{OnlyCopy, "volume data has its only copy on node-1; it comes back with the node"},
	},
	"a copy elsewhere":                       {change: func(w *world) { w.locations["data"] = on("node-1", "node-3") }},
	"copies only elsewhere":                  {change: func(w *world) { w.locations["data"] = on("node-2") }},
	"a copy on a cordoned node is a copy":    {change: func(w *world) { w.node2.Spec.Unschedulable = true }},
	"a degraded copy is a copy":              {change: func(w *world) { w.reports["node-2"] = drivers.Degraded }},
	"a copy whose storage says nothing is":   {change: func(w *world) { w.reports["node-2"] = drivers.Unknown }},
	"one of two other copies can be used":    {change: func(w *world) { w.locations["data"] = on("node-2", "node-3"); notReady(w.node2) }},
	"the other copy's node is not Ready":     {change: func(w *world) { notReady(w.node2) }, want: noUsableCopy("node node-2 is not Ready")},
	"the other copy's node has no condition": {change: func(w *world) { w.node2.Status.Conditions = nil }, want: noUsableCopy("node node-2 is not Ready")},
	"the other copy's storage is Offline":    {change: func(w *world) { w.reports["node-2"] = drivers.Offline }, want: noUsableCopy("the storage of node-2 is Offline")},
	"the other copy's storage is in Maintenance": {
		change: func(w *world) { w.reports["node-2"] = drivers.Maintenance }, want: noUsableCopy("the storage of node-2 is Maintenance"),
	},
	"the other copy's storage is down, and serves from other nodes": {
		change: func(w *world) { w.reports["node-2"] = drivers.StorageDown }, want: noUsableCopy("the storage of node-2 is StorageDown"),
	},
	"Roost keeps pods away from the other copy's node": {
		change: func(w *world) { w.unusable["node-2"] = true },
		want:   noUsableCopy("the storage of node-2 may not be used at the moment (see its StorageNode)"),
	},
	"the other copy's node does not exist": {
		change: func(w *world) { w.locations["data"] = on("node-1", "gone") }, want: noUsableCopy("node gone does not exist"),
	},
	"the other copy is behind": {
		change: func(w *world) {
			w.locations["data"] = on("node-1", "node-2")
			w.locations["data"].Replicas[1].State = drivers.Rebuilding
		},
		want: noUsableCopy("the one on node-2 is Rebuilding"),
	},
	"many copies that cannot be used": {
		change: func(w *world) { w.locations["data"] = on("a", "b", "c", "d", "e") },
		want:   noUsableCopy("node a does not exist, node b does not exist, node c does not exist, and 2 more"),
	},
	"no copy at all": {
		change: func(w *world) { w.locations["data"] = on() },
		want:   Refusal{OnlyCopy, "volume data has no copy on any node, driver published says; repair it in its storage system"},
	},
	"nobody has heard for too long": {
		change: func(w *world) {
			w.locations["data"] = drivers.Answer{Knowledge: drivers.TooOld, Driver: "published"}
		},
		want: Refusal{LocationUnknown, "where volume data has copies is not known: driver published has not synced, or has not heard from its storage system for too long"},
	},
}

func TestCopies(t *testing.T) { runChecks(t, copiesTests) }

func TestVolumesInTheNetwork(t *testing.T) {
	inNetwork := func(change func(*world)) func(*world) {
		return func(w *world) { delete(w.locations, "data"); change(w) }
	}
	runChecks(t, map[string]checkTest{
		"any node may use it": {change: inNetwork(func(*world) {})},
		"one other node may use it": {change: inNetwork(func(w *world) {
			w.dataPV.Spec.NodeAffinity = builders.MakePV("").OnNodes("node-1", "node-3").Spec.NodeAffinity
		})},
		"no other node may use it": {
			change: inNetwork(func(w *world) {
				w.dataPV.Spec.NodeAffinity = builders.MakePV("").OnNodes("node-1", "node-9").Spec.NodeAffinity
			}),
			want: Refusal{OnlyCopy, "no node but node-1 may use volume data (node affinity of PersistentVolume pv-data); it comes back with the node"},
		},
		"the other nodes that may use it cannot": {
			change: inNetwork(func(w *world) { notReady(w.node2); w.reports["node-3"] = drivers.Offline }),
			want:   Refusal{OnlyCopy, "no node but node-1 can use volume data: node node-2 is not Ready, the storage of node-3 is Offline"},
		},
		"storage that is down serves from elsewhere": {change: inNetwork(func(w *world) {
			notReady(w.node2)
			w.reports["node-3"] = drivers.StorageDown
		})},
		"a node affinity that cannot be read": {
			change: inNetwork(func(w *world) {
				w.dataPV.Spec.NodeAffinity = builders.MakePV("").OnNodes("node-2").Spec.NodeAffinity
				w.dataPV.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Operator = "Near"
			}),
			want: Refusal{OnlyCopy, "no node but node-1 may use volume data (node affinity of PersistentVolume pv-data); it comes back with the node"},
		},
	})
}

// A driver that knows every volume of the provisioner, but not this one, has lost it: it may have its only copy here.
func TestVolumesThatTheDriverShouldKnow(t *testing.T) {
	lost := func(volume, provisioner string) Refusal {
		return Refusal{LocationUnknown, "where volume " + volume + " has copies is not known: the driver that reports on " + provisioner +
			" knows all its volumes, but not this one"}
	}
	runChecks(t, map[string]checkTest{
		"by the failing node's report": {change: func(w *world) { delete(w.locations, "data"); w.locatesAll = "node-1" }, want: lost("data", csi)},
		"by another node's report":     {change: func(w *world) { delete(w.locations, "data"); w.locatesAll = "node-3" }, want: lost("data", csi)},
		"and does":                     {change: func(w *world) { w.locatesAll = "node-1" }},
		"of nobody's":                  {change: func(w *world) { delete(w.locations, "data"); w.locatesAll = "node-9" }},
		"whatever state it reports": {change: func(w *world) {
			delete(w.locations, "data")
			w.locatesAll, w.reports["node-1"] = "node-1", drivers.Offline
		}, want: lost("data", csi)},
		"of another driver, beside": {change: func(w *world) { w.add("logs", builders.MakePV("pv-logs").CSI(other, "logs")); w.locatesAll = "node-1" }, want: lost("logs", other)},
	})
}

func TestVolumesBesideTheProvisioners(t *testing.T) {
	local := corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/disk"}}
	directory := corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data"}}
	nfs := corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "filer"}}
	runChecks(t, map[string]checkTest{
		"a local one of this node": {
			change: func(w *world) {
				w.add("logs", builders.MakePV("pv-logs").Source(local).OnNodes("node-1"))
				w.locations["pv-logs"] = pinnedTo("node-1")
			},
			want: Refusal{PinnedVolume, "volume logs has its only copy on node-1; it comes back with the node"},
		},
		"a local one whose node is not known": {
			change: func(w *world) { w.add("logs", builders.MakePV("pv-logs").Source(local)) },
			want:   Refusal{PinnedVolume, "volume logs is a disk or directory of node-1; it comes back with the node"},
		},
		"a directory": {
			change: func(w *world) { w.add("logs", builders.MakePV("pv-logs").Source(directory)) },
			want:   Refusal{PinnedVolume, "volume logs is a disk or directory of node-1; it comes back with the node"},
		},
		"a directory that a person says is on several nodes": {change: func(w *world) {
			w.add("logs", builders.MakePV("pv-logs").Source(directory).OnNodes("node-1", "node-2"))
			w.locations["pv-logs"] = pinnedTo("node-1", "node-2")
		}},
		"another driver's, pinned to this node": {
			change: func(w *world) {
				w.add("logs", builders.MakePV("pv-logs").CSI(other, "logs").OnNodes("node-1"))
				w.locations["logs"] = pinnedTo("node-1")
			},
			want: Refusal{PinnedVolume, "volume logs has its only copy on node-1; it comes back with the node"},
		},
		"another driver's, with its only copy here": {
			change: func(w *world) {
				w.add("logs", builders.MakePV("pv-logs").CSI(other, "logs"))
				w.locations["logs"] = on("node-1")
			},
			want: Refusal{OnlyCopy, "volume logs has its only copy on node-1; it comes back with the node"},
		},
		"another driver's, with a copy elsewhere": {change: func(w *world) {
			w.add("logs", builders.MakePV("pv-logs").CSI(other, "logs"))
			w.locations["logs"] = on("node-1", "node-3")
		}},
		"another driver's, in the network": {change: func(w *world) { w.add("logs", builders.MakePV("pv-logs").CSI(other, "logs")) }},
		"a filer's, for this node alone": {
			change: func(w *world) { w.add("logs", builders.MakePV("pv-logs").Source(nfs).OnNodes("node-1")) },
			want:   Refusal{PinnedVolume, "no node but node-1 may use volume logs (node affinity of PersistentVolume pv-logs); it comes back with the node"},
		},
		"a filer's": {change: func(w *world) { w.add("logs", builders.MakePV("pv-logs").Source(nfs)) }},
	})
}
