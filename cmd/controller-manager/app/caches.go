// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"k8s.io/client-go/informers"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"roost.dev/roost/drivers"
)

// caches are the informers and the drivers' memories. They run in every manager, also in one that stands by.
type caches struct {
	informers informers.SharedInformerFactory
	registry  *drivers.Registry
	// informed is closed when the informers have synced.
	informed chan struct{}
}

var _ manager.LeaderElectionRunnable = (*caches)(nil)

func newCaches(factory informers.SharedInformerFactory, registry *drivers.Registry) *caches {
	return &caches{informers: factory, registry: registry, informed: make(chan struct{})}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (c *caches) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable. It returns when nothing of the caches runs any more.
func (c *caches) Start(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	defer c.informers.Shutdown()
	c.informers.StartWithContext(ctx)
	group.Go(func() { c.registry.Run(ctx) })
	if c.informers.WaitForCacheSyncWithContext(ctx).Err == nil {
		close(c.informed)
	}
	<-ctx.Done()
	return nil
}

// wait waits until the informers have synced. It is false where ctx was done before. Drivers are not waited for: a storage
// system that is silent must not keep the others from being looked after, and its nodes are Unknown, which moves nobody.
func (c *caches) wait(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-c.informed:
		return true
	}
}

// check is for /readyz.
func (c *caches) check(*http.Request) error {
	select {
	case <-c.informed:
	default:
		return errors.New("the informers have not synced")
	}
	if missing := c.registry.NotSynced(); len(missing) > 0 {
		return fmt.Errorf("these drivers have not synced: %s", strings.Join(missing, ", "))
	}
	return nil
}
