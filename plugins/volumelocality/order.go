// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"
	"slices"
	"sync"

	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
)

// order is what is known of the profile's order of plugins.
type order struct {
	once sync.Once
	good bool
}

// narrows says whether pods may be held to their data nodes for an attempt.
func (pl *VolumeLocality) narrows(ctx context.Context) bool {
	if !pl.args.DataNodesFirst {
		return false
	}
	pl.order.once.Do(func() {
		pl.order.good = widensFirst(pl.handle)
		if !pl.order.good {
			klog.FromContext(ctx).Error(nil, "Data nodes are not tried first: the profile must enable the plugin under postFilter, before DefaultPreemption", "plugin", Name)
		}
	})
	return pl.order.good
}

// widensFirst says that the profile asks our PostFilter before it preempts. A plugin that is enabled under multiPoint alone
// comes after the in-tree ones, and then a pod would be evicted to make room on a data node that the pod only prefers. The
// order is not known yet when the plugin is made, so this is asked when the first pod comes.
func widensFirst(handle fwk.Handle) bool {
	profile, ok := handle.(interface {
		ListPlugins() *schedulerconfig.Plugins
	})
	if !ok {
		return false
	}
	postFilters := profile.ListPlugins().PostFilter.Enabled
	position := func(name string) int {
		return slices.IndexFunc(postFilters, func(p schedulerconfig.Plugin) bool { return p.Name == name })
	}
	ours, preemption := position(Name), position(names.DefaultPreemption)
	return ours >= 0 && (preemption < 0 || ours < preemption)
}
