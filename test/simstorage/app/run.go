// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"roost.dev/roost/test/simstorage/admin"
	"roost.dev/roost/test/simstorage/cluster"
	"roost.dev/roost/test/simstorage/content"
	"roost.dev/roost/test/simstorage/csiserver"
	"roost.dev/roost/test/simstorage/kubelets"
	"roost.dev/roost/test/simstorage/nodewatch"
	"roost.dev/roost/test/simstorage/publish"
)

// parts are what runs.
type parts struct {
	nodes     *nodewatch.Watcher
	kubelets  *kubelets.Kubelets
	csi       *csiserver.Server
	admin     *admin.Server
	publisher *publish.Publisher
	// content is nil where volumes hold nothing.
	content *content.Store
}

// Run runs simstorage until ctx ends or one of its parts fails.
func Run(ctx context.Context, o *Options) error {
	p, err := build(o)
	if err != nil {
		return err
	}
	csiListener, err := csiserver.Listen(o.CSIAddress)
	if err != nil {
		return err
	}
	adminListener, err := admin.Listen(o.AdminAddress)
	if err != nil {
		return errors.Join(err, csiListener.Close())
	}
	if err := writeAddress(o.AdminAddressFile, adminListener.Addr()); err != nil {
		return errors.Join(err, csiListener.Close(), adminListener.Close())
	}
	err = p.run(ctx, csiListener, adminListener)
	klog.FromContext(ctx).Info("Stopped")
	return errors.Join(err, removeAddress(o.AdminAddressFile), p.content.Close())
}

func build(o *Options) (*parts, error) {
	if o.CSIAddress == "" {
		return nil, errors.New("--csi-address: must not be empty: must be the path of a unix socket")
	}
	capacity, err := o.poolBytes()
	if err != nil {
		return nil, err
	}
	clients, err := newClients(o.Kubeconfig)
	if err != nil {
		return nil, err
	}
	realClock := clock.RealClock{}
	model, err := cluster.New(cluster.Options{Clock: realClock, PoolCapacity: capacity})
	if err != nil {
		return nil, err
	}
	nodes, err := nodewatch.New(clients.kubernetes, model)
	if err != nil {
		return nil, err
	}
	nodesKubelets, err := kubelets.New(clients.kubernetes, model)
	if err != nil {
		return nil, err
	}
	publisher, err := publish.New(publish.Options{
		Client: clients.roost, Cluster: model, Clock: realClock, Heartbeat: o.Heartbeat,
	})
	if err != nil {
		return nil, err
	}
	store, err := openContent(o.DataDir)
	if err != nil {
		return nil, err
	}
	driver := csiserver.New(csiserver.Options{Cluster: model, Clock: realClock, Ready: nodes.HasSynced, Content: store})
	return &parts{
		nodes: nodes, kubelets: nodesKubelets, csi: driver, content: store,
		admin: admin.NewServer(model, store, driver.Calls), publisher: publisher,
	}, nil
}

// openContent returns nil where there is no data directory.
func openContent(dir string) (*content.Store, error) {
	if dir == "" {
		return nil, nil //nolint:nilnil // a nil store is one that keeps nothing
	}
	store, err := content.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	return store, nil
}

func (p *parts) run(ctx context.Context, csiListener, adminListener net.Listener) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.csi.Serve(ctx, csiListener) })
	group.Go(func() error { return p.admin.Serve(ctx, adminListener) })
	group.Go(func() error {
		p.nodes.Run(ctx)
		return nil
	})
	group.Go(func() error {
		if cache.WaitForCacheSync(ctx.Done(), p.nodes.HasSynced) {
			p.publisher.Run(ctx)
		}
		return nil
	})
	group.Go(func() error {
		if cache.WaitForCacheSync(ctx.Done(), p.nodes.HasSynced) {
			p.kubelets.Run(ctx)
		}
		return nil
	})
	return group.Wait()
}

// writeAddress writes a file that is either not there or whole, for whoever waits for it.
func writeAddress(path string, address net.Addr) error {
	if path == "" {
		return nil
	}
	const readable = 0o644
	draft := path + ".draft"
	if err := os.WriteFile(draft, []byte(address.String()), readable); err != nil {
		return fmt.Errorf("writing --admin-address-file: %w", err)
	}
	if err := os.Rename(draft, path); err != nil {
		return fmt.Errorf("writing --admin-address-file: %w", err)
	}
	return nil
}

func removeAddress(path string) error {
	if path == "" {
		return nil
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing --admin-address-file: %w", err)
	}
	return nil
}
