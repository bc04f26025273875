// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"

	"roost.dev/roost/volumelocality/pools"
)

// Pools is the process's memory of storage pools, shared by all plugins and profiles: what one profile promises counts for
// the others.
type Pools struct {
	clock clock.WithTicker

	once   sync.Once
	err    error
	memory *pools.Memory
	synced []cache.InformerSynced
}

// NewPools returns a memory that knows nothing. Start fills it.
func NewPools(clock clock.WithTicker) *Pools {
	return &Pools{clock: clock}
}

// Start follows the scheduler's informers, and keeps the memory's limits until ctx is done. Only the first call does anything.
func (p *Pools) Start(ctx context.Context, handle fwk.Handle) error {
	p.once.Do(func() {
		if p.err = p.follow(handle.SharedInformerFactory()); p.err == nil {
			go p.memory.Run(ctx)
		}
	})
	return p.err
}

// Memory is what is known. Call Start before.
func (p *Pools) Memory() *pools.Memory { return p.memory }

// HasSynced says that all that existed at the start is known. Before, a claim that was promised room before the scheduler
// started again may not be.
func (p *Pools) HasSynced() bool {
	for _, synced := range p.synced {
		if !synced() {
			return false
		}
	}
	return true
}

func (p *Pools) follow(factory informers.SharedInformerFactory) error {
	nodes := factory.Core().V1().Nodes().Lister()
	p.memory = pools.New(p.clock, func(name string) map[string]string {
		node, err := nodes.Get(name)
		if err != nil {
			return nil
		}
		return node.Labels
	})
	p.synced = append(p.synced, factory.Core().V1().Nodes().Informer().HasSynced)
	for _, err := range []error{
		follow(p, factory.Storage().V1().CSIStorageCapacities().Informer(), p.memory.PutPool,
			func(o *storagev1.CSIStorageCapacity) { p.memory.RemovePool(o.Namespace + "/" + o.Name) }),
		follow(p, factory.Core().V1().PersistentVolumeClaims().Informer(), p.memory.PutClaim,
			func(o *corev1.PersistentVolumeClaim) { p.memory.RemoveClaim(o.UID) }),
		follow(p, factory.Core().V1().PersistentVolumes().Informer(), p.memory.PutVolume,
			func(o *corev1.PersistentVolume) { p.memory.RemoveVolume(o.Spec.StorageClassName, o.Name) }),
	} {
		if err != nil {
			return fmt.Errorf("following storage pools: %w", err)
		}
	}
	return nil
}

// follow has the memory hear of an informer's objects.
func follow[O any](p *Pools, informer cache.SharedIndexInformer, put, remove func(O)) error {
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { tell(obj, put) },
		UpdateFunc: func(_, obj any) { tell(obj, put) },
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			tell(obj, remove)
		},
	})
	if err != nil {
		return err
	}
	p.synced = append(p.synced, registration.HasSynced)
	return nil
}

func tell[O any](obj any, told func(O)) {
	if object, ok := obj.(O); ok {
		told(object)
	}
}
