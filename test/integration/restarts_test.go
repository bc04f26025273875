// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
	"roost.dev/roost/volumelocality"
)

const (
	// crashes is how often the scheduler is killed, and rounds of pods are made.
	crashes = 20
	// crashTimeout is for all of them; one takes two to three seconds.
	crashTimeout = 5 * time.Minute
)

// flow is a way for pods to be placed that takes more than one attempt.
type flow struct {
	name string
	// nodes hold the data, and take no pod when the pods come.
	nodes   []string
	options []podOption
	// local says that the pods end on the nodes with the data.
	local bool
}

var _ = Describe("A scheduler that is killed again and again", func() {
	It("leaves no pod stuck and binds none twice, whatever it was doing", func(ctx SpecContext) {
		s := newSpace(ctx, shared)
		flows := []flow{
			{name: "widens", nodes: nodeNames(0, 2)},
			{name: "waits", nodes: nodeNames(2, 4), options: []podOption{waiting(time.Hour)}, local: true},
			{name: "gives-up-waiting", nodes: nodeNames(2, 4), options: []podOption{waiting(4 * time.Second)}},
			{name: "requires", nodes: nodeNames(4, 6), options: []podOption{annotated(volumelocality.Required)}, local: true},
			{name: "preempts", nodes: nodeNames(6, 8), options: []podOption{annotated(volumelocality.Required), ranked(highPriority), needing("150m")}, local: true},
		}
		// Full nodes would be passed over, in one attempt.
		for _, node := range flows[0].nodes {
			s.taint(ctx, node)
		}
		s.fillAll(ctx, nodeNames(2, 8))
		for _, f := range flows {
			s.publish(ctx, vendor, f.name, f.nodes...)
			s.bindByHand(ctx, f.name, csiSource(vendor, f.name))
		}
		DeferCleanup(s.ensureScheduler, NodeTimeout(startTimeout))

		random := rand.New(rand.NewPCG(uint64(GinkgoRandomSeed()), 0)) //nolint:gosec // not a secret
		for round := range crashes {
			s.beat(ctx, vendor)
			s.crashAmid(ctx, 1+random.IntN(2*(len(flows)+1)), func() {
				for _, f := range flows {
					s.create(ctx, newPod(nameIn(f.name, round), append([]podOption{using(f.name), needing("10m")}, f.options...)...))
				}
				s.create(ctx, newClaim(nameIn("new", round), sandbox.StorageClass))
				s.create(ctx, newPod(nameIn("new", round), using(nameIn("new", round)), needing("10m")))
			})
		}

		By("making room where pods wait for it")
		s.beat(ctx, vendor)
		for _, node := range nodeNames(2, 6) {
			s.deletePod(ctx, fillerOf(node, 0))
		}
		for _, f := range flows {
			for round := range crashes {
				node := s.nodeOf(ctx, nameIn(f.name, round))
				if f.local {
					Expect(f.nodes).To(ContainElement(node), nameIn(f.name, round))
				}
			}
		}
		for round := range crashes {
			s.boundVolume(ctx, nameIn("new", round))
			s.nodeOf(ctx, nameIn("new", round))
		}
		s.expectNobodyBoundTwice(ctx)
		s.expectNoNodeOverfull(ctx)
	}, NodeTimeout(crashTimeout))
})

// crashAmid kills the scheduler when so many changes of pods have been seen since act began, and starts it again.
func (s *space) crashAmid(ctx context.Context, changes int, act func()) {
	GinkgoHelper()
	watch, err := s.client.Watch(ctx, &corev1.PodList{}, client.InNamespace(s.namespace))
	Expect(err).NotTo(HaveOccurred())
	defer watch.Stop()
	seen := len(s.pods(ctx)) // which a watch begins with
	acted := make(chan struct{})
	go func() {
		defer GinkgoRecover()
		defer close(acted)
		act()
	}()
	for range seen + changes {
		select { // Eventually would look only every now and then, and the points would not be random
		case <-watch.ResultChan():
		case <-ctx.Done():
			Fail("too few changes of pods were seen")
		}
	}
	s.box.KillScheduler()
	Eventually(acted).WithContext(ctx).Should(BeClosed())
	Expect(s.box.StartScheduler(ctx, "")).To(Succeed())
}

// beat has a storage system speak again, which is not believed when it is silent for two minutes.
func (s *space) beat(ctx context.Context, provisioner string) {
	GinkgoHelper()
	var reports storagev1alpha1.StorageReportList
	Expect(s.client.List(ctx, &reports)).To(Succeed())
	for _, report := range reports.Items {
		if report.Spec.Provisioner == provisioner {
			report.Status.HeartbeatTime = metav1.NowMicro()
			Expect(s.client.Status().Update(ctx, &report)).To(Succeed())
		}
	}
}

// ensureScheduler leaves a scheduler that runs to the specs that follow.
func (s *space) ensureScheduler(ctx SpecContext) {
	s.box.StopScheduler()
	Expect(s.box.StartScheduler(ctx, "")).To(Succeed())
}

// fillAll takes all CPU of the nodes with small pods, so that one that preempts evicts few.
func (s *space) fillAll(ctx context.Context, nodes []string) {
	GinkgoHelper()
	for _, node := range nodes {
		for i := range 10 {
			pod := newPod(fillerOf(node, i), on(node), needing("200m"))
			s.create(ctx, pod)
		}
	}
}

func fillerOf(node string, i int) string { return fmt.Sprintf("%s-%d", filler(node), i) }

func nameIn(flow string, round int) string { return fmt.Sprintf("%s-%d", flow, round) }

// nodeNames are the names of the nodes from one index to before another.
func nodeNames(from, to int) []string {
	var names []string
	for i := from; i < to; i++ {
		names = append(names, sandbox.NodeName(i))
	}
	return names
}

// expectNobodyBoundTwice finds at most one binding of each pod. The event of one may be lost with its scheduler.
func (s *space) expectNobodyBoundTwice(ctx context.Context) {
	GinkgoHelper()
	var events eventsv1.EventList
	Expect(s.client.List(ctx, &events, client.InNamespace(s.namespace))).To(Succeed())
	bindings := map[string]int{}
	for _, event := range events.Items {
		if event.Reason == reasonScheduled {
			bindings[event.Regarding.Name]++
		}
	}
	Expect(bindings).NotTo(BeEmpty())
	Expect(bindings).To(HaveEach(1))
}

// expectNoNodeOverfull finds no node that was given more than it has, as by a scheduler that forgot what it had bound.
func (s *space) expectNoNodeOverfull(ctx context.Context) {
	GinkgoHelper()
	requested := map[string]*resource.Quantity{}
	for _, pod := range s.pods(ctx) {
		if requested[pod.Spec.NodeName] == nil {
			requested[pod.Spec.NodeName] = &resource.Quantity{}
		}
		requested[pod.Spec.NodeName].Add(*pod.Spec.Containers[0].Resources.Requests.Cpu())
	}
	capacity := resource.MustParse(nodeCPU)
	for node, sum := range requested {
		Expect(sum.Cmp(capacity)).To(BeNumerically("<=", 0), "%s is asked for %s CPU", node, sum)
	}
}
