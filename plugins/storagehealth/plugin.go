// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
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
)

// Name is the plugin's name in a KubeSchedulerConfiguration.
const Name = "StorageHealth"

// StorageHealth keeps pods off nodes where the storage of their volumes does not work.
type StorageHealth struct {
	args       config.StorageHealthArgs
	health     health
	resolver   *podvolumes.Resolver
	csiNodes   storagelisters.CSINodeLister
	csiDrivers storagelisters.CSIDriverLister
	waiting    *waiting
}

var (
	_ fwk.PreFilterPlugin   = (*StorageHealth)(nil)
	_ fwk.FilterPlugin      = (*StorageHealth)(nil)
	_ fwk.PreScorePlugin    = (*StorageHealth)(nil)
	_ fwk.ScorePlugin       = (*StorageHealth)(nil)
	_ fwk.PostBindPlugin    = (*StorageHealth)(nil)
	_ fwk.EnqueueExtensions = (*StorageHealth)(nil)
	_ fwk.SignPlugin        = (*StorageHealth)(nil)
)

// StorageNodes are the StorageNode objects in memory.
type StorageNodes interface {
	// Of returns what is known of the provisioner on the node. It does not block.
	Of(provisioner, node string) plugins.StorageNode
	// Subscribe has changed called after each change from then on.
	Subscribe(changed func(provisioner, node string))
}

// NewFactory returns the plugin's factory. All plugins of a process are given the same drivers and StorageNodes.
func NewFactory(shared *plugins.Drivers, storageNodes *plugins.StorageNodes) frameworkruntime.PluginFactory {
	return func(ctx context.Context, obj runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
		args, err := argsOf(obj)
		if err != nil {
			return nil, err
		}
		registry, err := shared.Registry(ctx, handle)
		if err != nil {
			return nil, fmt.Errorf("starting the storage drivers: %w", err)
		}
		if err := storageNodes.Start(ctx, handle); err != nil {
			return nil, fmt.Errorf("%s: %w", Name, err)
		}
		pl, err := New(ctx, args, handle, Sources{Registry: registry, StorageNodes: storageNodes, Clock: clock.RealClock{}})
		if err != nil {
			return nil, err
		}
		go pl.waiting.run(ctx)
		return pl, nil
	}
}

// argsOf returns the arguments, or an error that names each one that is wrong.
func argsOf(obj runtime.Object) (*config.StorageHealthArgs, error) {
	args, ok := obj.(*config.StorageHealthArgs)
	if !ok {
		return nil, fmt.Errorf("%s: arguments are %T, want *StorageHealthArgs", Name, obj)
	}
	if err := validation.ValidateStorageHealthArgs(field.NewPath("args"), args).ToAggregate(); err != nil {
		return nil, fmt.Errorf("%s: %w", Name, err)
	}
	return args, nil
}

// Sources are where the plugin learns how storage is. All are required.
type Sources struct {
	Registry     *drivers.Registry
	StorageNodes StorageNodes
	Clock        clock.WithTicker
}

// New returns the plugin. The arguments are valid.
func New(ctx context.Context, args *config.StorageHealthArgs, handle fwk.Handle, sources Sources) (*StorageHealth, error) {
	informers := handle.SharedInformerFactory()
	pods := informers.Core().V1().Pods()
	pl := &StorageHealth{
		args:   *args,
		health: health{registry: sources.Registry, storageNodes: sources.StorageNodes},
		resolver: &podvolumes.Resolver{
			Claims:  informers.Core().V1().PersistentVolumeClaims().Lister(),
			PVs:     informers.Core().V1().PersistentVolumes().Lister(),
			Classes: informers.Storage().V1().StorageClasses().Lister(),
		},
		csiNodes:   informers.Storage().V1().CSINodes().Lister(),
		csiDrivers: informers.Storage().V1().CSIDrivers().Lister(),
	}
	pl.waiting = newWaiting(waitingOptions{
		clock:    sources.Clock,
		usable:   func(p part) bool { return pl.health.faultOf(p) == noFault },
		exists:   func(pod *corev1.Pod) bool { return plugins.Exists(pods.Lister(), pod) },
		activate: handle.Activate,
	})
	if _, err := pods.Informer().AddEventHandler(plugins.OnDelete(pl.waiting.forget)); err != nil {
		return nil, fmt.Errorf("watching pods: %w", err)
	}
	sources.Registry.Subscribe(func(c drivers.Change) { pl.waiting.changed(part{provisioner: c.Provisioner, node: c.Node}) })
	sources.StorageNodes.Subscribe(func(provisioner, node string) { pl.waiting.changed(part{provisioner: provisioner, node: node}) })
	klog.FromContext(ctx).Info("StorageHealth is on", "requireRegistration", args.RequireRegistration, "degradedPenalty", args.DegradedPenalty,
		"storageDownPenalty", args.StorageDownPenalty, "suspectPenalty", args.SuspectPenalty)
	return pl, nil
}

// Name returns the plugin's name.
func (pl *StorageHealth) Name() string {
	return Name
}
