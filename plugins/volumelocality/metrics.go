// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"cmp"
	"sync"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

// noDriver is the driver's label where none knows the volume.
const noDriver = "none"

// placements is of the process: several profiles may have the plugin, and the metric is one.
var placements = metrics.NewCounterVec(&metrics.CounterOpts{
	Name: "roost_scheduler_placements_total",
	Help: "Volumes of pods that were bound, by the driver that knows where they are and by what the pod's node is to their data: " +
		"local, near (it shares a tier of the topology with it), remote, unknown. Volumes that do not count are not in it.",
	StabilityLevel: metrics.ALPHA,
}, []string{"driver", "locality"})

// registerMetrics has the metrics served with the scheduler's own.
var registerMetrics = sync.OnceFunc(func() { legacyregistry.MustRegister(placements) })

func (r *received) count() {
	for i := range r.volumes {
		v := &r.volumes[i]
		placements.WithLabelValues(cmp.Or(v.driver, noDriver), string(v.placement.Locality)).Inc()
	}
}
