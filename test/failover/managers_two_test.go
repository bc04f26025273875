// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
)

const (
	// leaseDuration is the shipped one.
	leaseDuration = 15 * time.Second
	// handOver is what a manager that is told to stop may take until another one leads.
	handOver = 2 * time.Second
)

var _ = Describe("Two managers", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) { s = newScene(ctx) })

	It("take turns: one acts, and the other takes over within two seconds, or when the Lease has run out", func(ctx SpecContext) {
		first, second := twoManagers(ctx, true)
		leader := holder(ctx)
		pod := s.database(ctx, "db")
		s.published(ctx, pod, patience)
		failStorage(ctx, pod.Spec.NodeName)
		moved := s.movedFrom(ctx, pod, patience)
		expectState(ctx, pod.Spec.NodeName, storagev1alpha1.HealthFailedOver)
		Expect(first.calls.Count(evicts, call.Succeeded)).To(Equal(1))
		Expect(second.calls.Count(call.Writes)).To(BeZero())
		mendAll(ctx)
		expectState(ctx, pod.Spec.NodeName, storagev1alpha1.HealthHealthy)

		told := time.Now()
		go first.Stop()
		next := otherHolder(ctx, leader, patience)
		took := time.Since(told)
		AddReportEntry("from SIGTERM to the next leader", took.String())
		Expect(took).To(BeNumerically("<", handOver))
		failStorage(ctx, moved.Spec.NodeName)
		again := s.movedFrom(ctx, moved, patience)
		Expect(second.calls.Count(evicts, call.Succeeded)).To(Equal(1))
		mendAll(ctx)

		Eventually(first.ended).WithContext(ctx).Should(BeClosed())
		third := startManager(ctx, "roost-controller-manager-3", true)
		killed := time.Now()
		second.Kill()
		failStorage(ctx, again.Spec.NodeName)
		otherHolder(ctx, next, 2*leaseDuration)
		took = time.Since(killed)
		AddReportEntry("from SIGKILL to the next leader", took.String())
		Expect(took).To(BeNumerically(">", leaseDuration-2*time.Second))
		s.movedFrom(ctx, again, patience)
		Expect(third.calls.Count(evicts, call.Succeeded)).To(Equal(1))
	}, SpecTimeout(specTimeout))

	It("do no harm when both act, as after a Lease that was lost unnoticed", func(ctx SpecContext) {
		first, second := twoManagers(ctx, false)
		for i, p := range []procedure{evicting, tainting, partly} {
			By(p.name)
			pods := s.followPods(ctx)
			pod := s.onNode(ctx, fmt.Sprintf("db%d", i), sandbox.NodeName(1))
			s.published(ctx, pod, patience)
			sick := pod.Spec.NodeName
			p.prepare(ctx, sick)
			p.fail(ctx, sick)
			s.movedFrom(ctx, pod, detachPatience)
			object := expectState(ctx, sick, storagev1alpha1.HealthFailedOver)
			Expect(object.Status.Failover.Moved).To(BeEquivalentTo(1))
			Expect(pods.pods(pod.Name)).To(Equal(2), "one replacement")
			expectNoViolation(ctx)
			mendAll(ctx)
			expectAllHealthy(ctx)
		}
		for _, m := range []*managed{first, second} {
			AddReportEntry("writes, of which statuses", fmt.Sprintf("%d, %d", m.calls.Count(call.Writes), m.calls.Count(call.WritesStatus)))
			Expect(m.calls.Count(call.Writes)).To(BeNumerically("<=", mostWritesOfTwo))
		}
	}, SpecTimeout(2*specTimeout))
})

// mostWritesOfTwo is enough for three failovers, refused writes among them, and far from what two managers write that
// contradict each other without end.
const mostWritesOfTwo = 100

// managed is a manager with a proxy of its own.
type managed struct {
	*sandbox.Manager
	calls *proxy
	ended chan struct{}
}

// Stop ends the manager as a Deployment does.
func (m *managed) Stop() {
	m.Manager.Stop()
	select {
	case <-m.ended:
	default:
		close(m.ended)
	}
}

// twoManagers run instead of the suite's until the end of the spec. With leader election the first leads.
func twoManagers(ctx context.Context, leaderElection bool) (first, second *managed) {
	GinkgoHelper()
	box.Manager.Stop()
	DeferCleanup(func(ctx SpecContext) { replaceManager(ctx, quick) }, NodeTimeout(patience))
	first = startManager(ctx, "roost-controller-manager-1", leaderElection)
	if leaderElection {
		otherHolder(ctx, "", patience)
	}
	return first, startManager(ctx, "roost-controller-manager-2", leaderElection)
}

func startManager(ctx context.Context, name string, leaderElection bool) *managed {
	GinkgoHelper()
	m := &managed{calls: &proxy{}, ended: make(chan struct{})}
	m.Manager = m.calls.manager(ctx, sandbox.ManagerOptions{Name: name, Config: quick, LeaderElection: leaderElection})
	DeferCleanup(func() {
		m.Manager.Stop()
		expectNoForbiddenCall(m.Log())
	})
	return m
}

// holder is who leads, empty where nobody does.
func holder(ctx context.Context) string {
	GinkgoHelper()
	lease := &coordinationv1.Lease{}
	err := box.Client.Get(ctx, client.ObjectKey{Namespace: "roost-system", Name: "roost-controller-manager"}, lease)
	Expect(client.IgnoreNotFound(err)).To(Succeed())
	return ptr.Deref(lease.Spec.HolderIdentity, "")
}

// otherHolder waits until somebody else leads.
func otherHolder(ctx context.Context, than string, within time.Duration) string {
	GinkgoHelper()
	var now string
	Eventually(func() bool {
		now = holder(ctx)
		return now != "" && now != than
	}).WithContext(ctx).WithTimeout(within).WithPolling(poll / 5).Should(BeTrue())
	return now
}
