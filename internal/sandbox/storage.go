// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"os"
	"strings"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/test/simstorage/admin"
)

const (
	// Provisioner is the name of simstorage's CSI driver.
	Provisioner = "sim.roost.dev"
	// StorageClass keeps two replicas of a volume, which every node may mount.
	StorageClass = "sim"
	// StorageClassPinned keeps two replicas of a volume, which only their nodes may mount.
	StorageClassPinned = "sim-pinned"

	// sidecarQPS is what a sidecar may ask of the API server; their default of 5 a second is for a busy cluster.
	sidecarQPS = "--kube-api-qps=200"
	// sidecarBurst goes with sidecarQPS.
	sidecarBurst = "--kube-api-burst=400"
	// groupSnapshots has snapshots taken of several volumes at one moment, which is off by default.
	groupSnapshots = "--feature-gates=CSIVolumeGroupSnapshot=true"

	annotationDefaultClass      = "snapshot.storage.kubernetes.io/is-default-class"
	annotationDefaultGroupClass = "groupsnapshot.storage.kubernetes.io/is-default-class"
)

// startStorage starts simstorage and waits until it serves.
func (s *Sandbox) startStorage(ctx context.Context) error {
	addressFile := s.dir.path("simstorage-admin")
	spec := programSpec{name: "simstorage", path: "simstorage", args: []string{
		"--kubeconfig=" + s.Kubeconfig,
		"--csi-address=" + s.csiSocket(),
		"--admin-address=127.0.0.1:0",
		"--admin-address-file=" + addressFile,
		"--data-dir=" + s.DataDir(),
	}}
	if s.tellsRoom() {
		spec.args = append(spec.args, "--pool-capacity="+s.opts.PoolCapacity.String())
	}
	if err := s.startAndWait(ctx, spec, func() bool { return exists(addressFile) && exists(s.csiSocket()) }); err != nil {
		return err
	}
	address, err := os.ReadFile(addressFile)
	if err != nil {
		return fmt.Errorf("reading the address of simstorage: %w", err)
	}
	s.Sim = admin.NewClient(strings.TrimSpace(string(address)))
	return nil
}

// tellsRoom says that the room in the pools is published.
func (s *Sandbox) tellsRoom() bool { return !s.opts.PoolCapacity.IsZero() }

func (s *Sandbox) csiSocket() string { return s.dir.path("csi.sock") }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// startSidecars starts the CSI sidecars in front of simstorage, and the snapshot-controller.
func (s *Sandbox) startSidecars(ctx context.Context) error {
	common := []string{"--kubeconfig=" + s.Kubeconfig, sidecarQPS, sidecarBurst}
	driver := append([]string{"--csi-address=" + s.csiSocket(), "--timeout=30s"}, common...)
	provisioner := programSpec{name: "csi-provisioner", args: append([]string{
		"--feature-gates=Topology=true", "--default-fstype=ext4", "--extra-create-metadata",
	}, driver...)}
	if s.tellsRoom() {
		// Its objects belong to no pod, and are where the program says that it runs.
		provisioner.args = append(provisioner.args, "--enable-capacity", "--capacity-ownerref-level=-1", "--kube-api-capacity-qps=50",
			"--kube-api-capacity-burst=100")
		provisioner.env = []string{"NAMESPACE=" + metav1.NamespaceDefault}
	}
	for _, sidecar := range []programSpec{
		provisioner,
		{name: "csi-attacher", args: append([]string{"--default-fstype=ext4", "--worker-threads=50"}, driver...)},
		{name: "csi-snapshotter", args: append([]string{"--extra-create-metadata", groupSnapshots}, driver...)},
		{name: "snapshot-controller", args: append([]string{groupSnapshots}, common...)},
	} {
		sidecar.path = "k8s/" + sidecar.name
		if err := s.start(ctx, sidecar); err != nil {
			return err
		}
	}
	return nil
}

// storageObjects are the driver's registration and the classes.
func (s *Sandbox) storageObjects() []client.Object {
	class := func(name, access string) client.Object {
		return &storagev1.StorageClass{
			ObjectMeta:        metav1.ObjectMeta{Name: name},
			Provisioner:       Provisioner,
			Parameters:        map[string]string{"replicas": "2", "access": access},
			VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer),
		}
	}
	objects := []client.Object{
		&storagev1.CSIDriver{
			ObjectMeta: metav1.ObjectMeta{Name: Provisioner},
			Spec:       storagev1.CSIDriverSpec{AttachRequired: ptr.To(true), StorageCapacity: ptr.To(s.tellsRoom())},
		},
		class(StorageClass, "any"),
		class(StorageClassPinned, "replicas"),
	}
	if s.opts.has(Sidecars) {
		objects = append(objects, snapshotClasses()...)
	}
	return objects
}

// snapshotClasses are the defaults of the driver, for snapshots of one volume and of several. Both are called StorageClass.
func snapshotClasses() []client.Object {
	return []client.Object{
		&snapshotv1.VolumeSnapshotClass{
			ObjectMeta:     metav1.ObjectMeta{Name: StorageClass, Annotations: map[string]string{annotationDefaultClass: "true"}},
			Driver:         Provisioner,
			DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete,
		},
		&groupsnapshotv1.VolumeGroupSnapshotClass{
			ObjectMeta:     metav1.ObjectMeta{Name: StorageClass, Annotations: map[string]string{annotationDefaultGroupClass: "true"}},
			Driver:         Provisioner,
			DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete,
		},
	}
}
