// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package idle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"

	"roost.dev/roost/cmd/sandbox/scrape"
)

const (
	// answered is how long the manager may take to see that its Lease is renewed after we do. It renews every half second.
	answered = 100 * time.Millisecond
	// leads is how long it may take to lead, or to renew its Lease.
	leads = time.Minute
)

// meter reads the manager's metrics shortly after its Lease was renewed, when no renewal is under way: what it counts as
// requests, and what we count as renewals, then belong together.
type meter struct {
	url   string
	clock clock.Clock
	// highest is the most resident memory that was read.
	highest int64
	// renewed says that the Lease was. It is closed when the watch ends.
	renewed chan struct{}

	mu       sync.Mutex
	renewals int
}

// newMeter counts the renewals that a watch of the manager's Lease tells of, until that is stopped.
func newMeter(url string, leases watch.Interface, c clock.Clock) *meter {
	m := &meter{url: url, clock: c, renewed: make(chan struct{}, 1)}
	go func() {
		defer close(m.renewed)
		for event := range leases.ResultChan() {
			if event.Type == watch.Modified {
				m.renewal()
			}
		}
	}()
	return m
}

func (m *meter) renewal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.renewals++
	select {
	case m.renewed <- struct{}{}:
	default: // one that nobody has waited for
	}
}

func (m *meter) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.renewals
}

// read waits for the next renewal and reads.
func (m *meter) read(ctx context.Context) (reading, error) {
	for {
		if err := m.waitForRenewal(ctx); err != nil {
			return reading{}, err
		}
		renewals := m.count()
		now, err := m.scrape(ctx)
		if err != nil {
			return reading{}, err
		}
		if renewals != m.count() {
			continue // the next one came in between
		}
		now.renewals = renewals
		m.highest = max(m.highest, now.resident)
		return now, nil
	}
}

func (m *meter) waitForRenewal(ctx context.Context) error {
	select {
	case <-m.renewed: // an old one
	default:
	}
	timeout := m.clock.NewTimer(leads)
	defer timeout.Stop()
	select {
	case _, open := <-m.renewed:
		if !open {
			return errors.New("the watch of the manager's Lease has ended")
		}
	case <-timeout.C():
		return fmt.Errorf("the manager has not renewed its Lease for %s", leads)
	case <-ctx.Done():
		return ctx.Err()
	}
	return pause(ctx, m.clock, answered)
}

func (m *meter) scrape(ctx context.Context) (reading, error) {
	var now reading
	err := scrape.Read(ctx, m.url, func(text io.Reader) error {
		var err error
		now, err = parse(text)
		return err
	})
	if err != nil {
		return reading{}, err
	}
	now.at = m.clock.Now()
	return now, nil
}
