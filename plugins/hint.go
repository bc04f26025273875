// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package plugins

import fwk "k8s.io/kube-scheduler/framework"

// QueueIf is the hint to try a pod again where an event helps it.
func QueueIf(helps bool) fwk.QueueingHint {
	if helps {
		return fwk.Queue
	}
	return fwk.QueueSkip
}
