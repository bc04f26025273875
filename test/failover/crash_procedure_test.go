// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// hasty is quick, with the shortest times that are allowed: specs that fail over a dozen times use it.
const hasty = `apiVersion: manager.roost.dev/v1alpha1
kind: ControllerManagerConfiguration
storageHealth:
  unhealthyAfter: 1s
  healthyAfter: 1s
  reportPeriod: 200ms
`

// procedure is one of the ways in which a node is failed over.
type procedure struct {
	name string
	// foreign has another driver's volume attached to the node, so that the node is not out of service as a whole.
	foreign bool
	// fail breaks the node.
	fail func(ctx context.Context, node string)
	// detachesLate says that attach-detach may take a minute to notice.
	detachesLate bool
}

var (
	evicting = procedure{name: "a live node", fail: failStorage}
	tainting = procedure{name: "a dead node, out of service as a whole", fail: killNode}
	partly   = procedure{name: "a dead node, attachment by attachment", fail: killNode, foreign: true, detachesLate: true}
)

// prepare does what goes on while the node is still well.
func (p procedure) prepare(ctx context.Context, node string) *storagev1.VolumeAttachment {
	GinkgoHelper()
	if p.foreign {
		return attachForeign(ctx, node)
	}
	return nil
}

// onNode runs a database on that node.
func (s *scene) onNode(ctx context.Context, name, node string) *corev1.Pod {
	GinkgoHelper()
	return s.database(ctx, name, onNode(node))
}
