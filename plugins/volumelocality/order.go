// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"
	"slices"
	"sync"

	"k8s.io/klog/v2"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
)

// order is what is known of the profile that the plugin is in.
type order struct {
	once sync.Once
	// good says that our PostFilter is asked before anybody is preempted.
	good bool
	// preempts says that the profile has DefaultPreemption after it: where that is not wanted, we do not preempt either.
	preempts bool
}

// narrows says whether pods may be held to their data nodes for an attempt.
func (pl *VolumeLocality) narrows(ctx context.Context) bool {
	pl.look(ctx)
	return pl.args.DataNodesFirst && pl.order.good
}

// preempts says whether the plugin preempts for pods that are held to their data nodes.
func (pl *VolumeLocality) preempts(ctx context.Context) bool {
	pl.look(ctx)
	return pl.order.preempts
}

func (pl *VolumeLocality) look(ctx context.Context) {
	pl.order.once.Do(func() { pl.order.good, pl.order.preempts = pl.checkProfile(klog.FromContext(ctx)) })
}

// checkProfile says whether the profile asks our PostFilter before it preempts, and whether it preempts at all. A plugin that
// is enabled under multiPoint alone comes after the in-tree ones, and then a pod would be evicted to make room on a data
// node that the pod only prefers. The profile is not known yet when the plugin is made, so this is asked when the first pod
// comes.
func (pl *VolumeLocality) checkProfile(logger klog.Logger) (good, preempts bool) {
	framework, ok := pl.handle.(interface {
		ListPlugins() *schedulerconfig.Plugins
	})
	if !ok {
		return false, false
	}
	profile := framework.ListPlugins()
	if score := find(profile.Score, Name); score >= 0 && profile.Score.Enabled[score].Weight < 0 {
		logger.Error(nil, "The profile gives the plugin a negative weight, must be positive: nodes with the data score lowest; to keep pods away from their data, use the policy Avoid",
			"plugin", Name, "weight", profile.Score.Enabled[score].Weight)
	}
	ours, preemption := find(profile.PostFilter, Name), find(profile.PostFilter, names.DefaultPreemption)
	good = ours >= 0 && (preemption < 0 || ours < preemption)
	if !good && pl.args.DataNodesFirst {
		logger.Error(nil, "Data nodes are not tried first: the profile must enable the plugin under postFilter, before DefaultPreemption", "plugin", Name)
	}
	return good, good && preemption >= 0
}

// find returns the plugin's place in the order, -1 where it is not enabled.
func find(plugins schedulerconfig.PluginSet, name string) int {
	return slices.IndexFunc(plugins.Enabled, func(p schedulerconfig.Plugin) bool { return p.Name == name })
}
