// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"roost.dev/roost/internal/builders"
)

func TestWhatIsProof(t *testing.T) {
	out := corev1.Taint{Key: corev1.TaintNodeOutOfService, Value: "nodeshutdown", Effect: corev1.TaintEffectNoExecute}
	rox := builders.MakePV("pv-a").CSI(ours, "a").ClaimedBy("a").Obj()
	rox.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany}
	nfs := builders.MakePV("pv-a").Source(corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "filer"}}).ClaimedBy("a").Obj()
	csi := builders.MakePV("pv-a").CSI(ours, "a").ClaimedBy("a").Obj()
	tests := map[string]struct {
		node   *corev1.Node
		pv     *corev1.PersistentVolume
		fenced bool
		want   bool
	}{
		"nothing":                                       {node: makeNode(false), pv: csi},
		"the storage system's fence":                    {node: makeNode(false), pv: csi, fenced: true, want: true},
		"a person's taint on a dead node":               {node: makeNode(false, out), pv: csi, want: true},
		"a person's taint that was forgotten":           {node: makeNode(true, out), pv: csi},
		"our own taint proves nothing":                  {node: makeNode(false, outOfService), pv: csi},
		"an access mode, which nothing enforces":        {node: makeNode(false), pv: rox},
		"a volume that no driver knows":                 {node: makeNode(false), pv: nfs, fenced: true},
		"a person's taint, of a volume no driver knows": {node: makeNode(false, out), pv: nfs, want: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.node, makePod("db-0", "a"), builders.MakeClaim("a").BoundTo("pv-a").Obj(), tc.pv)
			if tc.fenced {
				w.fence("a")
			}
			if got, _ := proven(w, tc.node, w.job("db-0").Candidates[0].Pod, w.job("db-0").Candidates[0].Volumes); got != tc.want {
				t.Errorf("proven = %t, want %t", got, tc.want)
			}
		})
	}
}

// TestDeadNodeWithoutAGuard has pods whose controllers make others while these may still write: they are not even asked to
// leave, unless attach-detach lets no second node have their volumes.
func TestDeadNodeWithoutAGuard(t *testing.T) {
	owned := func(kind string, pod *corev1.Pod) *corev1.Pod {
		pod.OwnerReferences[0].Kind = kind
		return pod
	}
	many := builders.MakePV("pv-b").CSI(ours, "b").ClaimedBy("b").Obj()
	many.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
	one := builders.MakePV("pv-c").CSI(ours, "c").ClaimedBy("c").Obj()
	one.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	free := builders.MakePV("pv-d").CSI("nfs.example.com", "d").ClaimedBy("d").Obj()
	free.Spec.AccessModes = one.Spec.AccessModes
	w := newWorld(t, makeNode(false), owned("StatefulSet", makePod("set", "b")), owned("ReplicaSet", makePod("many", "b")),
		owned("ReplicaSet", makePod("one", "c")), owned("ReplicaSet", makePod("free", "d")), many, one, free,
		builders.MakeClaim("b").BoundTo("pv-b").Obj(), builders.MakeClaim("c").BoundTo("pv-c").Obj(), builders.MakeClaim("d").BoundTo("pv-d").Obj(),
		&storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "nfs.example.com"}, Spec: storagev1.CSIDriverSpec{AttachRequired: ptr.To(false)}})
	wantReasons(t, w.advance("set", "many", "one", "free"), "set: Evicted", "many: NeedsProof", "one: Evicted", "free: NeedsProof")
	w.wantLog("evict set grace 30", "evict one grace 30")
}

// otherSources are what pods mount beside claims, and whether it holds them back.
var otherSources = map[string]struct {
	source corev1.VolumeSource
	other  bool
}{
	"an empty directory":         {source: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	"a directory of the node":    {source: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/log"}}},
	"a ConfigMap":                {source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
	"a Secret":                   {source: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{}}},
	"the pod's own fields":       {source: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{}}},
	"a token":                    {source: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}},
	"an image":                   {source: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "data:1"}}},
	"a share":                    {source: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "filer"}}, other: true},
	"an iSCSI disk":              {source: corev1.VolumeSource{ISCSI: &corev1.ISCSIVolumeSource{}}, other: true},
	"an RBD image":               {source: corev1.VolumeSource{RBD: &corev1.RBDVolumeSource{}}, other: true},
	"a CephFS":                   {source: corev1.VolumeSource{CephFS: &corev1.CephFSVolumeSource{}}, other: true},
	"a Fibre Channel disk":       {source: corev1.VolumeSource{FC: &corev1.FCVolumeSource{}}, other: true},
	"a volume of a CSI driver":   {source: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: ours}}, other: true},
	"what nobody knows as yet":   {source: corev1.VolumeSource{}, other: true},
	"a share, for reading alone": {source: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "filer", ReadOnly: true}}, other: true},
}

// TestOtherStorage has a pod with a volume that is proven, and one without a claim.
func TestOtherStorage(t *testing.T) {
	out := corev1.Taint{Key: corev1.TaintNodeOutOfService, Value: "nodeshutdown", Effect: corev1.TaintEffectNoExecute}
	for name, tc := range otherSources {
		t.Run(name, func(t *testing.T) {
			pod := makePod("db-0", "a")
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "beside", VolumeSource: tc.source})
			w := newWorld(t, join(makeNode(false), makeVolume("a", ours))...)
			w.fence("a")
			volumes, err := w.mover.resolver.Resolve(pod)
			if err != nil {
				t.Fatal(err)
			}
			got, lacking := proven(w, makeNode(false), pod, volumes)
			if got == tc.other || tc.other && !strings.Contains(lacking, "volume beside of the pod is storage without a claim") {
				t.Errorf("proven = %t, %q; want %t", got, lacking, !tc.other)
			}
			if got, _ := proven(w, makeNode(false, out), pod, volumes); !got {
				t.Error("a person's taint on a dead node is no proof")
			}
			pod.OwnerReferences[0].Kind = "ReplicaSet"
			volumes[0].PV.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
			if got := guarded(w.mover.csiDrivers, pod, volumes); got == tc.other {
				t.Errorf("guarded = %t, want %t", got, !tc.other)
			}
		})
	}
}

// TestOtherStorageIsNotForced has the pod's claim fenced, and a share beside it.
func TestOtherStorageIsNotForced(t *testing.T) {
	for name, ready := range map[string]bool{"on a dead node": false, "on a live node": true} {
		t.Run(name, func(t *testing.T) {
			pod := makePod("db-0", "a")
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "share",
				VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "filer"}}})
			w := newWorld(t, join(makeNode(ready), makeVolume("a", ours), makeVolume("x", theirs))...)
			if err := w.raw.Create(t.Context(), pod); err != nil {
				t.Fatal(err)
			}
			w.fence("a")
			wantReasons(t, w.advance("db-0"), "db-0: Evicted")
			w.clock.SetTime(time.Now().Add(time.Hour))
			for range 3 {
				wantReasons(t, w.advance("db-0"), "db-0: NeedsProof")
			}
			w.wantLog("evict db-0 grace 30")
		})
	}
}
