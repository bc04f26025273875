// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/utils/clock"

	"roost.dev/roost/apis/config"
	"roost.dev/roost/apis/config/validation"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/podvolumes"
	"roost.dev/roost/plugins"
	"roost.dev/roost/volumelocality"
)

// Name is the plugin's name in a KubeSchedulerConfiguration.
const Name = "VolumeLocality"

// VolumeLocality prefers, requires or avoids the nodes that hold a pod's data.
type VolumeLocality struct {
	handle   fwk.Handle
	registry *drivers.Registry
	resolver *podvolumes.Resolver
	pods     corelisters.PodLister
	nodes    corelisters.NodeLister
	args     config.VolumeLocalityArgs
	tiers    []volumelocality.Tier
	clock    clock.WithTicker
	levels   *levels
	notes    notes
	firsts   *firsts
	alarms   *alarms
	evictor  *evictor
	waiting  *waiting
	order    order

	// What concerns claims that are not bound yet.
	csiDrivers storagelisters.CSIDriverLister
	snapshots  *plugins.Snapshots
	pools      *plugins.Pools
	roomless   *roomless
}

var (
	_ fwk.PreEnqueuePlugin  = (*VolumeLocality)(nil)
	_ fwk.SignPlugin        = (*VolumeLocality)(nil)
	_ fwk.PreFilterPlugin   = (*VolumeLocality)(nil)
	_ fwk.FilterPlugin      = (*VolumeLocality)(nil)
	_ fwk.PreScorePlugin    = (*VolumeLocality)(nil)
	_ fwk.ScorePlugin       = (*VolumeLocality)(nil)
	_ fwk.PostFilterPlugin  = (*VolumeLocality)(nil)
	_ fwk.ReservePlugin     = (*VolumeLocality)(nil)
	_ fwk.PostBindPlugin    = (*VolumeLocality)(nil)
	_ fwk.EnqueueExtensions = (*VolumeLocality)(nil)
)

// NewFactory returns the plugin's factory. All plugins of a process are given the same drivers, snapshots and pools.
func NewFactory(shared *plugins.Drivers, snapshots *plugins.Snapshots, pools *plugins.Pools) frameworkruntime.PluginFactory {
	return func(ctx context.Context, obj runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
		args, err := argsOf(obj)
		if err != nil {
			return nil, err
		}
		registry, err := shared.Registry(ctx, handle)
		if err != nil {
			return nil, fmt.Errorf("starting the storage drivers: %w", err)
		}
		if err := snapshots.Start(ctx, handle); err != nil {
			return nil, fmt.Errorf("%s: %w", Name, err)
		}
		if err := pools.Start(ctx, handle); err != nil {
			return nil, fmt.Errorf("%s: %w", Name, err)
		}
		pl, err := New(ctx, args, handle, Sources{Registry: registry, Snapshots: snapshots, Pools: pools, Clock: clock.RealClock{}})
		if err != nil {
			return nil, err
		}
		go pl.alarms.run(ctx)
		go pl.waiting.run(ctx)
		return pl, nil
	}
}

// argsOf returns the arguments, or an error that names each one that is wrong.
func argsOf(obj runtime.Object) (*config.VolumeLocalityArgs, error) {
	args, ok := obj.(*config.VolumeLocalityArgs)
	if !ok {
		return nil, fmt.Errorf("%s: arguments are %T, want *VolumeLocalityArgs", Name, obj)
	}
	if err := validation.ValidateVolumeLocalityArgs(field.NewPath("args"), args).ToAggregate(); err != nil {
		return nil, fmt.Errorf("%s: %w", Name, err)
	}
	return args, nil
}

// Sources are where the plugin learns of storage, and what time it is. All are required; Pools is started.
type Sources struct {
	Registry  *drivers.Registry
	Snapshots *plugins.Snapshots
	Pools     *plugins.Pools
	Clock     clock.WithTicker
}

// New returns the plugin. The arguments are valid.
func New(ctx context.Context, args *config.VolumeLocalityArgs, handle fwk.Handle, sources Sources) (*VolumeLocality, error) {
	informers := handle.SharedInformerFactory()
	pl := &VolumeLocality{
		handle:   handle,
		registry: sources.Registry,
		resolver: &podvolumes.Resolver{
			Claims:  informers.Core().V1().PersistentVolumeClaims().Lister(),
			PVs:     informers.Core().V1().PersistentVolumes().Lister(),
			Classes: informers.Storage().V1().StorageClasses().Lister(),
		},
		pods:   informers.Core().V1().Pods().Lister(),
		nodes:  informers.Core().V1().Nodes().Lister(),
		args:   *args,
		clock:  sources.Clock,
		levels: newLevels(),
		firsts: newFirsts(),

		csiDrivers: informers.Storage().V1().CSIDrivers().Lister(),
		snapshots:  sources.Snapshots,
		pools:      sources.Pools,
		roomless:   newRoomless(informers.Core().V1().Pods().Lister()),
	}
	pl.alarms = newAlarms(sources.Clock, pl.pods, handle.Activate)
	var err error
	if pl.evictor, err = newEvictor(ctx, handle, pl.runsNextToItsData); err != nil {
		return nil, fmt.Errorf("making what preempts: %w", err)
	}
	pl.waiting = pl.newWaiting()
	registerMetrics()
	for _, tier := range args.Topology {
		pl.tiers = append(pl.tiers, volumelocality.Tier{Label: tier.Label, Weight: int64(tier.Weight)})
	}
	if err := pl.watchPods(klog.FromContext(ctx), informers.Core().V1().Pods().Informer()); err != nil {
		return nil, fmt.Errorf("watching pods: %w", err)
	}
	pl.watchRoom(klog.FromContext(ctx))
	klog.FromContext(ctx).Info("VolumeLocality is on", "defaultPolicy", args.DefaultPolicy, "dataNodesFirst", args.DataNodesFirst,
		"volumeWeighting", args.VolumeWeighting, "topology", args.Topology)
	return pl, nil
}

// Name returns the plugin's name.
func (pl *VolumeLocality) Name() string {
	return Name
}
