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
	profile
}

type profile struct {
	// narrows says that our PostFilter is asked before anybody is preempted.
	narrows bool
	// preempts says that the profile has DefaultPreemption after it: where that is not wanted, we do not preempt either.
	preempts bool
	// fits says that a pod goes only where its requests fit.
	fits bool
}

// profile is looked at when the first pod comes: it is not known yet when the plugin is made.
func (pl *VolumeLocality) profile(ctx context.Context) profile {
	pl.order.once.Do(func() { pl.order.profile = pl.checkProfile(klog.FromContext(ctx)) })
	return pl.order.profile
}

// narrows says whether pods may be held to their data nodes for an attempt.
func (pl *VolumeLocality) narrows(ctx context.Context) bool {
	return pl.args.DataNodesFirst && pl.profile(ctx).narrows
}

// checkProfile says what the profile does. A plugin that is enabled under multiPoint alone comes after the in-tree ones, and
// then a pod would be evicted to make room on a data node that the pod only prefers.
func (pl *VolumeLocality) checkProfile(logger klog.Logger) profile {
	framework, ok := pl.handle.(interface {
		ListPlugins() *schedulerconfig.Plugins
	})
	if !ok {
		return profile{}
	}
	plugins := framework.ListPlugins()
	if score := find(plugins.Score, Name); score >= 0 && plugins.Score.Enabled[score].Weight < 0 {
		logger.Error(nil, "The profile gives the plugin a negative weight, must be positive: nodes with the data score lowest; to keep pods away from their data, use the policy Avoid",
			"plugin", Name, "weight", plugins.Score.Enabled[score].Weight)
	}
	ours, preemption := find(plugins.PostFilter, Name), find(plugins.PostFilter, names.DefaultPreemption)
	good := ours >= 0 && (preemption < 0 || ours < preemption)
	if !good && pl.args.DataNodesFirst {
		logger.Error(nil, "Data nodes are not tried first: the profile must enable the plugin under postFilter, before DefaultPreemption", "plugin", Name)
	}
	return profile{narrows: good, preempts: good && preemption >= 0, fits: find(plugins.Filter, names.NodeResourcesFit) >= 0}
}

// find returns the plugin's place in the order, -1 where it is not enabled.
func find(plugins schedulerconfig.PluginSet, name string) int {
	return slices.IndexFunc(plugins.Enabled, func(p schedulerconfig.Plugin) bool { return p.Name == name })
}
