// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package csiserver

import (
	"context"
	"errors"
	"maps"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"
)

// errStopping ends the calls that wait when the driver stops.
var errStopping = status.Error(codes.Unavailable, "the driver stops")

// calls counts the CSI calls by name.
type calls struct {
	mu     sync.Mutex
	counts map[string]int64
}

func (c *calls) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int64{}
	}
	c.counts[name]++
}

// Calls returns how often each CSI call was made so far, by its name in the specification.
func (s *Server) Calls() map[string]int64 {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	counts := maps.Clone(s.calls.counts)
	if counts == nil {
		counts = map[string]int64{}
	}
	return counts
}

// intercept counts and logs each call, and lets it feel the storage API's faults. Calls that wait are given up when ctx,
// the server's life, ends.
func (s *Server) intercept(ctx context.Context) grpc.UnaryServerInterceptor {
	logger := klog.FromContext(ctx)
	return func(callCtx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		name := path.Base(info.FullMethod)
		s.calls.add(name)
		callCtx, cancel := context.WithCancelCause(callCtx)
		defer cancel(nil)
		defer context.AfterFunc(ctx, func() { cancel(errStopping) })()
		if needsStorage(info.FullMethod) {
			if err := s.reachStorage(callCtx); err != nil {
				logger.V(2).Info("CSI call did not reach the storage", "call", name, "err", err)
				return nil, err
			}
		}
		response, err := handler(klog.NewContext(callCtx, logger), request)
		if err != nil {
			err = asStatus(err)
			logger.Info("CSI call failed", "call", name, "err", err)
			return nil, err
		}
		logger.V(4).Info("CSI call", "call", name)
		return response, nil
	}
}

// needsStorage tells whether a call is answered by the storage system rather than by the driver itself.
func needsStorage(fullMethod string) bool {
	switch fullMethod {
	case csi.Controller_ControllerGetCapabilities_FullMethodName, csi.GroupController_GroupControllerGetCapabilities_FullMethodName:
		return false
	default:
		return strings.HasPrefix(fullMethod, "/"+csi.Controller_ServiceDesc.ServiceName+"/") ||
			strings.HasPrefix(fullMethod, "/"+csi.GroupController_ServiceDesc.ServiceName+"/")
	}
}

func (s *Server) reachStorage(ctx context.Context) error {
	if !s.ready() {
		return status.Error(codes.Unavailable, "the driver does not know the nodes yet")
	}
	faults := s.cluster.Faults()
	if err := s.pause(ctx, faults.APIDelay); err != nil {
		return err
	}
	if faults.APIDown {
		return status.Error(codes.Unavailable, "the storage API is down: a fault was injected")
	}
	return nil
}

// pause lets time pass, unless the caller gives up or the driver stops.
func (s *Server) pause(ctx context.Context, delay time.Duration) error {
	if delay <= 0 {
		return nil
	}
	select {
	case <-s.clock.After(delay):
		return nil
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), errStopping) {
			return errStopping
		}
		return status.FromContextError(ctx.Err()).Err()
	}
}
