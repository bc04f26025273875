// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/mirror"
	"roost.dev/roost/storagehealth/candidates"
	"roost.dev/roost/storagehealth/failover"
	"roost.dev/roost/storagehealth/verdict"
)

// workers is how many nodes are looked after at a time, so that one that takes long holds up nobody.
const workers = 8

var _ Registry = (*drivers.Registry)(nil)

// Registry is what storage systems say. A drivers.Registry is one.
type Registry interface {
	candidates.Storage
	failover.Prover
	Subscribe(changed func(drivers.Change))
}

// Options are what a Controller needs. All are required.
type Options struct {
	// Client reads from the API server itself, never from a cache, and writes. It knows the kinds of Kubernetes, StorageNode and PodGroup.
	Client client.Client
	// StorageNodes lists and watches them.
	StorageNodes mirror.Client
	// Informers give Kubernetes' own objects. Their owner starts them, after New.
	Informers informers.SharedInformerFactory
	Registry  Registry
	// Config has its defaults and is valid.
	Config   managerv1alpha1.StorageHealth
	Recorder events.EventRecorder
	Clock    clock.WithTicker
	Metrics  *Metrics
}

// Controller looks after all StorageNodes.
type Controller struct {
	client   client.Client
	registry Registry
	recorder events.EventRecorder
	clock    clock.WithTicker
	metrics  *Metrics
	dryRun   bool
	// podsPerMinute is the budget, as a person reads it.
	podsPerMinute int32
	followed      []followed
	nodes         corelisters.NodeLister
	csiNodes      storagelisters.CSINodeLister
	csiDrivers    storagelisters.CSIDriverLister
	volumes       cache.Indexer
	// seen are the drivers of the volumes that were added since the start. Only volumeAdded uses it, which is called for one
	// volume at a time.
	seen sets.Set[string]

	mirror    *mirror.Mirror[*storagev1alpha1.StorageNode]
	inventory *inventory
	board     *verdict.Board
	finder    *candidates.Finder
	mover     *failover.Mover
	queue     workqueue.TypedRateLimitingInterface[verdict.Key]
	// look has the evaluation come round early.
	look chan struct{}
	told *told
	// silent are the storage systems that say nothing of any node; evaluate alone has it.
	silent sets.Set[string]
	ledger *ledger
}

// New returns a controller that does nothing until Run, and adds what it needs to the informers.
func New(o Options) (*Controller, error) {
	c := &Controller{
		client:        o.Client,
		registry:      o.Registry,
		recorder:      o.Recorder,
		clock:         o.Clock,
		metrics:       o.Metrics,
		dryRun:        o.Config.Failover.Mode == managerv1alpha1.DryRun,
		podsPerMinute: o.Config.Failover.PodsPerMinute,
		nodes:         o.Informers.Core().V1().Nodes().Lister(),
		csiNodes:      o.Informers.Storage().V1().CSINodes().Lister(),
		csiDrivers:    o.Informers.Storage().V1().CSIDrivers().Lister(),
		seen:          sets.New[string](),
		inventory:     newInventory(),
		look:          make(chan struct{}, 1),
		told:          newTold(),
		silent:        sets.New[string](),
		ledger:        newLedger(),
	}
	c.board = verdict.NewBoard(verdict.Options{Reporter: o.Registry, Policy: policyOf(o.Config), Clock: o.Clock})
	c.metrics.read.Store(c.inventory)
	c.mirror = c.newMirror(o)
	c.queue = workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[verdict.Key](100*time.Millisecond, 30*time.Second),
		workqueue.TypedRateLimitingQueueConfig[verdict.Key]{Name: "storagehealth", Clock: o.Clock})
	if err := c.followCluster(o.Informers); err != nil {
		return nil, err
	}
	return c, c.makeParts(o)
}

func (c *Controller) makeParts(o Options) error {
	var err error
	c.finder, err = candidates.New(candidates.Options{
		Informers:    o.Informers,
		Storage:      o.Registry,
		Usable:       c.usable,
		PodGroups:    o.Client,
		Default:      o.Config.Failover.Default,
		GangPolicy:   o.Config.Failover.GangPolicy,
		ArrivalGrace: o.Config.Failover.ArrivalGrace.Duration,
		Clock:        o.Clock,
	})
	if err != nil {
		return fmt.Errorf("making the finder of pods: %w", err)
	}
	c.mover, err = failover.New(failover.Options{
		Client:    o.Client,
		Informers: o.Informers,
		Prover:    o.Registry,
		Sharing:   c.finder.Sharing,
		Config:    o.Config.Failover,
		Recorder:  o.Recorder,
		Clock:     o.Clock,
		Metrics:   o.Metrics.Moves,
	})
	if err != nil {
		return fmt.Errorf("making the mover of pods: %w", err)
	}
	return nil
}

func policyOf(config managerv1alpha1.StorageHealth) verdict.Policy {
	return verdict.Policy{
		UnhealthyAfter:      config.UnhealthyAfter.Duration,
		BadReports:          int(config.BadReports),
		HealthyAfter:        config.HealthyAfter.Duration,
		ReportPeriod:        config.ReportPeriod.Duration,
		MaxUnhealthyPercent: int(*config.MaxUnhealthyPercent),
	}
}

// usable says that Roost's own verdict lets the node take pods with volumes of the provisioner.
func (c *Controller) usable(provisioner, node string) bool {
	key := verdict.Key{Provisioner: provisioner, Node: node}
	if object, ok := c.inventory.get(key); ok && object.Spec.Maintenance {
		return false
	}
	v, ok := c.board.Verdict(key)
	return !ok || v.State == storagev1alpha1.HealthHealthy
}

// NeedLeaderElection implements controller-runtime's LeaderElectionRunnable: one controller acts.
func (c *Controller) NeedLeaderElection() bool { return true }

// Start implements controller-runtime's Runnable. It looks after all StorageNodes until ctx is done, and returns when
// nothing of it runs any more.
func (c *Controller) Start(ctx context.Context) error {
	logger := klog.FromContext(ctx).WithName("storagehealth")
	ctx = klog.NewContext(ctx, logger)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	defer group.Wait()
	defer c.queue.ShutDown()
	defer cancel()
	group.Go(func() { c.mirror.Run(ctx) })
	if !c.waitForCaches(ctx) {
		return nil
	}
	stop, err := c.follow()
	if err != nil {
		return err
	}
	defer stop()
	c.registry.Subscribe(c.reported)
	logger.Info("Looking after storage", "storageNodes", len(c.inventory.keys()))
	group.Go(func() { c.evaluate(ctx) })
	for range workers {
		group.Go(func() {
			for c.work(ctx) {
			}
		})
	}
	<-ctx.Done()
	return nil
}

func (c *Controller) waitForCaches(ctx context.Context) bool {
	synced := []cache.InformerSynced{c.mirror.HasSynced}
	for _, f := range c.followed {
		synced = append(synced, f.informer.HasSynced)
	}
	return cache.WaitForCacheSync(ctx.Done(), synced...)
}

// evaluate looks at every report each period, and when a verdict is due.
func (c *Controller) evaluate(ctx context.Context) {
	for {
		started := c.clock.Now()
		changed, next := c.board.Evaluate()
		c.metrics.evaluation.Observe(c.clock.Since(started).Seconds())
		for _, key := range changed {
			c.queue.Add(key)
		}
		c.noteSilence(klog.FromContext(ctx), changed)
		timer := c.clock.NewTimer(max(next.Sub(c.clock.Now()), minimalPause))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-c.look:
			timer.Stop()
		case <-timer.C():
		}
	}
}

// noteSilence logs when a storage system begins to say nothing of any node, and when it speaks again.
func (c *Controller) noteSilence(logger klog.Logger, changed []verdict.Key) {
	asked := sets.New[string]()
	for _, key := range changed {
		if asked.Has(key.Provisioner) {
			continue
		}
		asked.Insert(key.Provisioner)
		silent := c.allSilent(key.Provisioner)
		if silent == c.silent.Has(key.Provisioner) {
			continue
		}
		if silent {
			c.silent.Insert(key.Provisioner)
			logger.Info("A storage system fell silent; silence moves no pod", "provisioner", key.Provisioner)
		} else {
			c.silent.Delete(key.Provisioner)
			logger.Info("A storage system speaks again", "provisioner", key.Provisioner)
		}
	}
}

// minimalPause is between two looks at all reports.
const minimalPause = 50 * time.Millisecond

// reported is told by the drivers what changed. It only has the evaluation come round, as drivers hold locks meanwhile.
func (c *Controller) reported(change drivers.Change) {
	if change.Node == "" {
		return
	}
	select {
	case c.look <- struct{}{}:
	default:
	}
}

// work takes one key from the queue. It is false when the queue is shut down.
func (c *Controller) work(ctx context.Context) bool {
	key, quit := c.queue.Get()
	if quit {
		return false
	}
	defer c.queue.Done(key)
	again, err := c.reconcile(ctx, key)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errConflict):
		c.queue.AddRateLimited(key)
	case err != nil:
		klog.FromContext(ctx).Error(err, "Looking after a StorageNode failed; it is tried again", "provisioner", key.Provisioner, "node", klog.KRef("", key.Node))
		c.queue.AddRateLimited(key)
	default:
		c.queue.Forget(key)
		if again > 0 {
			c.queue.AddAfter(key, again)
		}
	}
	return true
}
