// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/clock"

	"roost.dev/roost/drivers"
)

// tickInterval is how often a signal that has begun is looked at again, until it counts or ends.
const tickInterval = time.Second

// HealthOptions say when what is seen of a node counts. All but NodePlugins are required.
type HealthOptions struct {
	// NodePlugins name the pods of CSI node plugins that cannot be found by their registration path.
	NodePlugins []NodePlugin
	// Leases reads the nodes' leases, those of the namespace kube-node-lease.
	Leases LeaseGetter
	// PluginNotReadyAfter is how long a node plugin must not be ready, or not be registered, until that counts.
	PluginNotReadyAfter time.Duration
	// BootGrace is how long after a node became Ready, and after its CSINode or a node plugin of a new revision came,
	// nothing counts that is still starting.
	BootGrace time.Duration
	// LeaseStaleAfter is how long the lease of a node that is not Ready must not have been renewed until the node is gone.
	LeaseStaleAfter time.Duration
	// AttachErrorsAfter is how long attachments to a node must have failed until that counts.
	AttachErrorsAfter time.Duration
}

// NodePlugin names the pods of a CSI driver's node plugin.
type NodePlugin struct {
	// Provisioner is the CSI driver's name.
	Provisioner string
	// Namespace and Selector select its pods, one a node.
	Namespace string
	Selector  labels.Selector
}

func (o *HealthOptions) check() error {
	var errs []error
	if o.Leases == nil {
		errs = append(errs, errors.New("leases are missing"))
	}
	for name, value := range map[string]time.Duration{
		"PluginNotReadyAfter": o.PluginNotReadyAfter,
		"BootGrace":           o.BootGrace,
		"LeaseStaleAfter":     o.LeaseStaleAfter,
		"AttachErrorsAfter":   o.AttachErrorsAfter,
	} {
		if value <= 0 {
			errs = append(errs, fmt.Errorf("%s is %s, want more than 0", name, value))
		}
	}
	for i, plugin := range o.NodePlugins {
		if plugin.Provisioner == "" || plugin.Namespace == "" || plugin.Selector == nil {
			errs = append(errs, fmt.Errorf("NodePlugins[%d] lacks its provisioner, namespace or selector", i))
		}
	}
	return errors.Join(errs...)
}

// health is what is seen of each driver's part on each node, and what follows from it. Its methods are called one at a
// time, with Source.writing held, but for NodeReport.
type health struct {
	options HealthOptions
	clock   clock.Clock

	nodes map[string]*nodeFacts
	parts map[part]*partFacts
	pods  map[string]*pluginPod
	// attachments find the part of a VolumeAttachment.
	attachments map[string]part
	// drivers have been registered on some node since Run. A directory in a registration path that no driver is named
	// after is none.
	drivers map[string]struct{}
	// pending have a signal that has begun and does not count yet.
	pending map[part]struct{}
}

func newHealth(options HealthOptions, clock clock.Clock) *health {
	return &health{
		options:     options,
		clock:       clock,
		nodes:       map[string]*nodeFacts{},
		parts:       map[part]*partFacts{},
		pods:        map[string]*pluginPod{},
		attachments: map[string]part{},
		drivers:     map[string]struct{}{},
		pending:     map[part]struct{}{},
	}
}

// NodeReport implements drivers.HealthReporter.
func (s *Source) NodeReport(provisioner, node string) (drivers.NodeReport, bool) {
	s.reading.RLock()
	defer s.reading.RUnlock()
	report, ok := s.reports[part{provisioner: provisioner, node: node}]
	return report, ok
}

// judgeParts makes the reports what follows from the facts now, and tells subscribers of states that changed. The caller
// holds writing.
func (s *Source) judgeParts(parts []part) {
	now := s.health.clock.Now()
	for _, p := range parts {
		judged := s.health.judge(p, now)
		if judged.pending {
			s.health.pending[p] = struct{}{}
		} else {
			delete(s.health.pending, p)
		}
		before, was := s.NodeReport(p.provisioner, p.node)
		if was == judged.known && before == judged.report {
			continue
		}
		s.reading.Lock()
		if judged.known {
			s.reports[p] = judged.report
		} else {
			delete(s.reports, p)
		}
		s.reading.Unlock()
		if was != judged.known || before.State != judged.report.State {
			s.tell(drivers.Change{Provisioner: p.provisioner, Node: p.node})
		}
	}
}

// judgePending looks again at the signals that only time brings about, until ctx is done.
func (s *Source) judgePending(ctx context.Context) {
	for s.sleep(ctx, tickInterval) {
		s.writing.Lock()
		s.judgeParts(s.health.pendingParts())
		s.writing.Unlock()
	}
}

// sleep is false where ctx ended it.
func (s *Source) sleep(ctx context.Context, pause time.Duration) bool {
	timer := s.health.clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}

func (h *health) pendingParts() []part {
	parts := make([]part, 0, len(h.pending))
	for p := range h.pending {
		parts = append(parts, p)
	}
	return parts
}
