// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/test/simstorage/content"
)

// EnvData is the variable that tells a command in a pod where simstorage keeps what volumes hold.
const EnvData = "SIM_DATA"

// DataDir is where simstorage keeps what volumes hold; package content says how.
func (s *Sandbox) DataDir() string { return s.dir.path("data") }

// VolumeDir is the directory of what a claim's volume holds, to read and write as a pod would. It is made where it does not
// exist. The claim must be bound.
func (s *Sandbox) VolumeDir(ctx context.Context, namespace, claim string) (string, error) {
	dir, err := s.volumeDir(ctx, namespace, claim)
	if err == nil && dir == "" {
		err = errors.New("it is not bound to a volume of " + Provisioner)
	}
	if err != nil {
		return "", fmt.Errorf("finding the directory of claim %s/%s: %w", namespace, claim, err)
	}
	return dir, nil
}

// volumeDir returns nothing for a claim that is not bound to a volume of ours.
func (s *Sandbox) volumeDir(ctx context.Context, namespace, claim string) (string, error) {
	var pvc corev1.PersistentVolumeClaim
	if err := s.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: claim}, &pvc); err != nil {
		return "", fmt.Errorf("reading claim %s: %w", claim, err)
	}
	if pvc.Status.Phase != corev1.ClaimBound {
		return "", nil
	}
	var pv corev1.PersistentVolume
	if err := s.Client.Get(ctx, client.ObjectKey{Name: pvc.Spec.VolumeName}, &pv); err != nil {
		return "", fmt.Errorf("reading the volume of claim %s: %w", claim, err)
	}
	if pv.Spec.CSI == nil || pv.Spec.CSI.Driver != Provisioner {
		return "", nil
	}
	dir := content.VolumePath(s.DataDir(), filepath.Base(pv.Spec.CSI.VolumeHandle))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the directory of claim %s: %w", claim, err)
	}
	return dir, nil
}

// linkVolumes makes a directory with a link to each claim of a pod that is bound to a volume of ours.
func (s *Sandbox) linkVolumes(ctx context.Context, pod *corev1.Pod, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the directory of pod %s: %w", pod.Name, err)
	}
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		claim := claimOf(pod, volume)
		if claim == "" {
			continue
		}
		target, err := s.volumeDir(ctx, pod.Namespace, claim)
		if err != nil {
			return err
		}
		if target == "" {
			continue
		}
		// A running pod keeps its volumes, so a link that is there is right.
		if err := os.Symlink(target, filepath.Join(dir, volume.Name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("linking volume %s of pod %s: %w", volume.Name, pod.Name, err)
		}
	}
	return nil
}

func claimOf(pod *corev1.Pod, volume *corev1.Volume) string {
	switch {
	case volume.PersistentVolumeClaim != nil:
		return volume.PersistentVolumeClaim.ClaimName
	case volume.Ephemeral != nil:
		return pod.Name + "-" + volume.Name
	default:
		return ""
	}
}
