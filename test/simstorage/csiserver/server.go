// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package csiserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"roost.dev/roost/test/simstorage/cluster"
	"roost.dev/roost/test/simstorage/content"
)

const (
	// DriverName is the CSI driver's name, and so the provisioner of its volumes.
	DriverName = "sim.roost.dev"

	vendorVersion = "1.0.0"
	unixScheme    = "unix://"
)

// Options are what a Server needs.
type Options struct {
	Cluster *cluster.Cluster
	Clock   clock.Clock
	// Ready tells whether the nodes are known. Until then the driver says that it is not ready, and sidecars wait.
	Ready func() bool
	// Content keeps what volumes and snapshots hold. Nil keeps nothing.
	Content *content.Store
}

// Server is the CSI driver.
type Server struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedControllerServer
	csi.UnimplementedGroupControllerServer

	cluster *cluster.Cluster
	clock   clock.Clock
	ready   func() bool
	calls   calls

	// copying is held from a change of the model until the content follows, so that a call that is repeated meanwhile does
	// not answer for content that is not there yet.
	copying sync.Mutex
	content *content.Store
}

var (
	_ csi.IdentityServer        = (*Server)(nil)
	_ csi.ControllerServer      = (*Server)(nil)
	_ csi.GroupControllerServer = (*Server)(nil)
)

// New returns a driver that does not serve yet.
func New(o Options) *Server {
	return &Server{cluster: o.Cluster, clock: o.Clock, ready: o.Ready, content: o.Content}
}

// Listen opens the socket at a path, with or without unix:// before it. A socket that a dead process left is replaced.
func Listen(address string) (net.Listener, error) {
	path := strings.TrimPrefix(address, unixScheme)
	if err := removeDeadSocket(path); err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening on the CSI socket: %w", err)
	}
	return listener, nil
}

// Serve answers calls until ctx ends, then finishes those that are under way and removes the socket.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := grpc.NewServer(grpc.UnaryInterceptor(s.intercept(ctx)))
	csi.RegisterIdentityServer(server, s)
	csi.RegisterControllerServer(server, s)
	csi.RegisterGroupControllerServer(server, s)
	stop := context.AfterFunc(ctx, server.GracefulStop)
	defer stop()
	klog.FromContext(ctx).Info("Serving CSI", "driver", DriverName, "address", listener.Addr().String())
	if err := server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serving CSI on %s: %w", listener.Addr(), err)
	}
	// Serve returns as soon as the listener is closed; this waits for the calls under way.
	server.GracefulStop()
	return nil
}

func removeDeadSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at the CSI socket: %w", err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("CSI address %s is a file that is not a socket", path)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		_ = conn.Close() // it was opened only to see whether anybody answers
		return fmt.Errorf("CSI address %s is in use by another process", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing a dead CSI socket: %w", err)
	}
	return nil
}
