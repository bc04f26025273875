// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelets

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"roost.dev/roost/test/simstorage/csiserver"
)

// inUsePrefix begins the kubelet's and the attach-detach controller's name of a volume of simstorage.
const inUsePrefix = "kubernetes.io/csi/" + csiserver.DriverName + "^"

// writeInUse writes a node's volumes in use when they changed.
func (k *Kubelets) writeInUse(ctx context.Context, node *corev1.Node, m *machine) error {
	others, ours := splitInUse(node.Status.VolumesInUse)
	if m.seen == node.ResourceVersion && m.seen != "" {
		ours = m.inUse // the cache does not have what was written yet
	}
	wanted := m.handlesInUse()
	if slices.Equal(ours, wanted) {
		return nil
	}
	for _, handle := range wanted {
		others = append(others, corev1.UniqueVolumeName(inUsePrefix+handle))
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"volumesInUse": others}})
	if err != nil {
		return fmt.Errorf("encoding the volumes in use on node %s: %w", node.Name, err)
	}
	if _, err := k.client.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("writing the volumes in use on node %s: %w", node.Name, err)
	}
	m.inUse, m.seen = wanted, node.ResourceVersion
	return nil
}

// splitInUse separates the volumes of other drivers from the handles of ours, sorted.
func splitInUse(names []corev1.UniqueVolumeName) (others []corev1.UniqueVolumeName, ours []string) {
	others = []corev1.UniqueVolumeName{}
	for _, name := range names {
		if handle, ok := strings.CutPrefix(string(name), inUsePrefix); ok {
			ours = append(ours, handle)
		} else {
			others = append(others, name)
		}
	}
	slices.Sort(ours)
	return others, ours
}
