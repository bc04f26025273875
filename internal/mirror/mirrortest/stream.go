// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package mirrortest

import (
	"context"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/watch"
)

// stream is a watch that never makes its sender wait.
type stream struct {
	events  chan watch.Event
	stopped context.Context
	stop    context.CancelFunc

	mu      sync.Mutex
	pending []watch.Event
	more    chan struct{}
}

func newStream(ctx context.Context) *stream {
	s := &stream{events: make(chan watch.Event), more: make(chan struct{}, 1)}
	s.stopped, s.stop = context.WithCancel(ctx)
	go s.deliver()
	return s
}

func (s *stream) send(event watch.Event) {
	event.Object = event.Object.DeepCopyObject()
	s.mu.Lock()
	s.pending = append(s.pending, event)
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (s *stream) deliver() {
	defer close(s.events)
	for {
		s.mu.Lock()
		batch := slices.Clone(s.pending)
		s.pending = nil
		s.mu.Unlock()
		for _, event := range batch {
			select {
			case <-s.stopped.Done():
				return
			case s.events <- event:
			}
		}
		select {
		case <-s.stopped.Done():
			return
		case <-s.more:
		}
	}
}

// Stop implements watch.Interface.
func (s *stream) Stop() { s.stop() }

// ResultChan implements watch.Interface. It is closed after Stop.
func (s *stream) ResultChan() <-chan watch.Event { return s.events }
