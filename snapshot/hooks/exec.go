// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// errTimedOut is the cause of a context that ended because its time was up.
var errTimedOut = errors.New("timed out")

// within gives a context that ends after a time, by the Runner's clock.
func (r *Runner) within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := r.clock.NewTimer(limit)
	go func() {
		defer timer.Stop()
		select {
		case <-timer.C():
			cancel(errTimedOut)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// despite gives a context that lasts for a time whether or not the one given ends, but for no longer than haste after that.
func (r *Runner) despite(ctx context.Context, limit, haste time.Duration) (context.Context, context.CancelFunc) {
	bounded, cancel := r.within(context.WithoutCancel(ctx), limit)
	stop := context.AfterFunc(ctx, func() {
		hurried, done := r.within(bounded, haste)
		defer done()
		<-hurried.Done()
		cancel()
	})
	return bounded, func() {
		stop()
		cancel()
	}
}

// target is a container.
type target struct {
	pod       types.NamespacedName
	container string
}

// exec runs a command. After an error it may still run: closing the stream ends nothing in the container.
func (r *Runner) exec(ctx context.Context, in target, limit time.Duration, command []string) (string, error) {
	bounded, cancel := r.within(ctx, limit)
	defer cancel()
	output, err := r.executor.Exec(bounded, in.pod, in.container, command)
	switch {
	case err == nil || bounded.Err() == nil:
		return output, err
	case ctx.Err() != nil:
		return output, fmt.Errorf("nobody waited for its end: %w", context.Cause(ctx))
	default:
		return output, fmt.Errorf("it did not end within %s", limit)
	}
}

// livePod reads a pod from the API server.
func (r *Runner) livePod(ctx context.Context, key types.NamespacedName) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	if err := r.client.Get(ctx, key, pod); err != nil {
		return nil, err
	}
	return pod, nil
}

// each calls do for 0 to n-1, at most so many at a time, and returns when all have ended.
func each(n, atATime int, do func(i int)) {
	places := make(chan struct{}, atATime)
	var wait sync.WaitGroup
	for i := range n {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			do(i)
		})
	}
	wait.Wait()
}
