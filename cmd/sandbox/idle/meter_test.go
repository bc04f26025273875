// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package idle

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	clocktesting "k8s.io/utils/clock/testing"
)

// manager serves metrics and renews its Lease when it is told to. The memory that it says it has becomes less.
type manager struct {
	*httptest.Server
	*meter
	leases *watch.FakeWatcher
	clock  *clocktesting.FakeClock
	reads  atomic.Int64
	// reading, where it is set, is called with how often it has been read, before it answers.
	reading func(int64)
}

func newManager(t *testing.T) *manager {
	m := &manager{leases: watch.NewFakeWithChanSize(8, false), clock: clocktesting.NewFakeClock(began)}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reads := m.reads.Add(1)
		if m.reading != nil {
			m.reading(reads)
		}
		fmt.Fprint(w, strings.ReplaceAll(served, "1.048576e+08", fmt.Sprint(1000-reads)))
	}))
	t.Cleanup(m.Close)
	m.meter = newMeter(m.URL, m.leases, m.clock)
	return m
}

func (m *manager) renew() { m.leases.Modify(&coordinationv1.Lease{}) }

// renewWhenAwaited renews once a reader waits for that, and has the time pass that it waits after it.
func (m *manager) renewWhenAwaited(t *testing.T) {
	m.awaitTimers(t, 1)
	m.renew()
	m.awaitTimers(t, 2)
	m.clock.Step(answered)
}

// awaitTimers waits until the reader has that many timers.
func (m *manager) awaitTimers(t *testing.T, count int) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 5*time.Second, true, func(context.Context) (bool, error) {
		return m.clock.Waiters() == count, nil
	})
	if err != nil {
		t.Errorf("the reader has %d timers, want %d", m.clock.Waiters(), count)
	}
}

func TestReadCountsRenewals(t *testing.T) {
	m := newManager(t)
	m.leases.Add(&coordinationv1.Lease{}) // what is there when the watch begins is no renewal
	for want := 1; want <= 2; want++ {
		go m.renewWhenAwaited(t)
		got, err := m.read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if reads := got.requests[request{"GET", "200"}]; got.renewals != want || reads != 13 {
			t.Errorf("read() has %d renewals and %d reads, want %d and 13", got.renewals, reads, want)
		}
	}
	if m.highest != 999 {
		t.Errorf("the highest memory is %d, want 999, which was the first", m.highest)
	}
}

func TestReadIsTakenAgainWhereARenewalComesInBetween(t *testing.T) {
	m := newManager(t)
	m.reading = func(reads int64) {
		if reads > 1 {
			return
		}
		m.renew()
		err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 5*time.Second, true, func(context.Context) (bool, error) {
			return m.count() == 2, nil
		})
		if err != nil {
			t.Errorf("%d renewals, want 2", m.count())
		}
		go m.renewWhenAwaited(t)
	}
	go m.renewWhenAwaited(t)
	got, err := m.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.renewals != 3 || m.reads.Load() != 2 {
		t.Errorf("read() has %d renewals after %d reads, want 3 after 2", got.renewals, m.reads.Load())
	}
}

func TestReadFails(t *testing.T) {
	for name, tc := range map[string]struct {
		arrange func(*testing.T, *manager, context.CancelFunc)
		want    string
	}{
		"where the watch ends": {
			arrange: func(_ *testing.T, m *manager, _ context.CancelFunc) { m.leases.Stop() },
			want:    "the watch of the manager's Lease has ended",
		},
		"where nobody waits any more": {
			arrange: func(_ *testing.T, _ *manager, cancel context.CancelFunc) { cancel() },
			want:    context.Canceled.Error(),
		},
		"where the manager does not renew": {
			arrange: func(t *testing.T, m *manager, _ context.CancelFunc) {
				m.awaitTimers(t, 1)
				m.clock.Step(leads)
			},
			want: "the manager has not renewed its Lease for 1m0s",
		},
		"where the manager does not answer": {
			arrange: func(t *testing.T, m *manager, _ context.CancelFunc) {
				m.Close()
				m.renewWhenAwaited(t)
			},
			want: "asking for the manager's metrics",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go tc.arrange(t, m, cancel)
			if _, err := m.read(ctx); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("read() = %v, want an error that contains %q", err, tc.want)
			}
		})
	}
}
