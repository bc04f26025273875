// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"roost.dev/roost/internal/sandbox"
)

var _ = Describe("While our scheduler is down", func() {
	It("pods with claims of labelled namespaces wait, all others start, and those follow when it is back", func(ctx SpecContext) {
		box := startSandbox(ctx, sandbox.Options{
			Nodes:   sandbox.Nodes{Count: 6, Zones: 3, Racks: 3},
			Without: sets.New(sandbox.RoostManager),
		})
		applyChoice(ctx, box)
		s, engine := newSpace(ctx, box), &space{box: box, client: box.Client, namespace: labelledStorage}
		ensureNamespace(ctx, box, engine.namespace)
		label(ctx, box, engine.namespace, "Enabled")
		label(ctx, box, s.namespace, "Enabled")
		awaitChoice(ctx, box)
		v := s.provision(ctx, "data", sandbox.NodeName(0))
		box.StopScheduler()

		s.create(ctx, newPod("waits", naming(""), using(v.claim)))
		s.create(ctx, newPod("without-volumes", naming("")))
		s.create(ctx, newPod("opted-out", naming(""), ephemeral(), labelling(schedulerLabel, "Disabled")))
		s.create(ctx, newPod("critical", naming(""), ephemeral(), ranked("system-cluster-critical")))
		s.create(ctx, newPod("roosts-own", naming(""), ephemeral(), labelling("app.kubernetes.io/part-of", "roost")))
		s.create(ctx, newDaemonSet("node-plugin", naming(""), ephemeral()))
		set := newStatefulSet("engine", 2)
		set.Spec.Template.Spec.SchedulerName = ""
		engine.create(ctx, set)

		const singles, nodes = 4, 6
		for _, pod := range append(s.waitForRunning(ctx, singles+nodes), engine.waitForRunning(ctx, 2)...) {
			Expect(pod.Spec.SchedulerName).To(Equal(stock), pod.Name)
		}
		waits := s.pod(ctx, Default, "waits")
		Expect(waits.Spec.SchedulerName).To(Equal(roost))
		Expect(waits.Spec.NodeName).To(BeEmpty())
		Expect(waits.Status.Conditions).To(BeEmpty(), "nobody has tried it")

		Expect(box.StartScheduler(ctx, "")).To(Succeed())
		Expect(v.dataNodes).To(ContainElement(s.nodeOf(ctx, "waits")))
	}, NodeTimeout(startTimeout))
})

// newDaemonSet is a DaemonSet of small pods.
func newDaemonSet(name string, options ...podOption) *appsv1.DaemonSet {
	template := newPod("", append([]podOption{labelling("app", name)}, options...)...)
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: template.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: template.ObjectMeta, Spec: template.Spec},
		},
	}
}
