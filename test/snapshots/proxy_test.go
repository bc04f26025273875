// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshots

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/test/managerproxy"
)

// mostWrites is far above what any procedure takes.
const mostWrites = 60

// proxy stands between a manager and the API server.
type proxy struct{ managerproxy.Proxy }

// managerThrough replaces the manager by one with a proxy in front of it, until the end of the spec.
func managerThrough(ctx context.Context) *proxy {
	GinkgoHelper()
	p := &proxy{}
	DeferCleanup(p.Close)
	anotherManager(ctx, sandbox.ManagerOptions{Through: p.Listen})
	return p
}

// start starts the manager that comes after one that was killed.
func (p *proxy) start(ctx context.Context) {
	GinkgoHelper()
	startManager(ctx, sandbox.ManagerOptions{Through: p.Listen})
}

// anotherManager replaces the manager until the end of the spec.
func anotherManager(ctx context.Context, options sandbox.ManagerOptions) {
	GinkgoHelper()
	box.Manager.Stop()
	DeferCleanup(func(ctx SpecContext) {
		box.Manager.Stop()
		startManager(ctx, sandbox.ManagerOptions{})
	}, NodeTimeout(patience))
	startManager(ctx, options)
}

// startManager starts the manager of all specs, which does not run.
func startManager(ctx context.Context, options sandbox.ManagerOptions) {
	GinkgoHelper()
	var err error
	box.Manager, err = box.StartManager(ctx, options)
	Expect(err).NotTo(HaveOccurred())
}

// managerStopped has no manager run until the spec starts one, or ends.
func managerStopped(stop func()) {
	GinkgoHelper()
	stopped := box.Manager
	stop()
	DeferCleanup(func(ctx SpecContext) {
		if box.Manager == stopped {
			startManager(ctx, sandbox.ManagerOptions{})
		}
	}, NodeTimeout(patience))
}

// changes says that a call changes something that snapshots are about. A command in a pod does.
func changes(c managerproxy.Call) bool {
	return c.Writes() && !strings.Contains(c.Path, "/apis/storage.roost.dev/")
}

// round is one run of a procedure: begin begins it, done is true when it is at its end, and check finds it as it should be.
type round struct {
	begin func(n int)
	done  func(g Gomega)
	check func(n int)
}

// oneOf is a number from 1 to n, another one from one run of the suite to the next: specs that try some of the writes only have
// tried them all in the end.
func oneOf(n int) int { return 1 + int(GinkgoRandomSeed()%int64(n)) }

// survives carries a procedure out again and again, each time with a manager that is killed after one write more, or several
// more, and replaced. It ends with the round in which the manager lives.
func (p *proxy) survives(ctx context.Context, first, step int, r round) {
	GinkgoHelper()
	for n := first; ; n += step {
		Expect(n).To(BeNumerically("<", mostWrites))
		before := p.Count(changes, managerproxy.Call.Succeeded)
		if !p.survivesOne(ctx, n, r) {
			AddReportEntry("writes", fmt.Sprint(p.Count(changes, managerproxy.Call.Succeeded)-before))
			Expect(n).To(BeNumerically(">", first), "nothing was written")
			return
		}
	}
}

func (p *proxy) survivesOne(ctx context.Context, n int, r round) (killed bool) {
	GinkgoHelper()
	dead := make(chan struct{})
	disarm := p.After(n, changes, func() {
		box.Manager.Kill()
		close(dead)
	})
	defer disarm()
	r.begin(n)
	Eventually(func(g Gomega) {
		select {
		case <-dead:
			killed = true
		default:
			r.done(g)
		}
	}).WithContext(ctx).Should(Succeed(), "write %d", n)
	disarm()
	// It may have been killed by its last write.
	select {
	case <-dead:
		killed = true
		p.start(ctx)
		Eventually(r.done).WithContext(ctx).Should(Succeed(), "after write %d", n)
	default:
	}
	r.check(n)
	return killed
}
