// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox"
)

// idleFor is how long nothing happens.
const idleFor = 15 * time.Second

var _ = Describe("A manager", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) { s = newScene(ctx) })

	It("writes nothing while nothing changes", func(ctx SpecContext) {
		through := managerThrough(ctx, quick)
		pod := s.database(ctx, "db")
		Eventually(func(g Gomega) {
			g.Expect(storageNode(ctx, g, pod.Spec.NodeName).Status.Volumes).To(BeEquivalentTo(1))
		}).WithContext(ctx).Should(Succeed())
		writes, calls := through.Count(call.Writes), through.Count()
		Consistently(func() int { return through.Count(call.Writes) }).WithContext(ctx).
			WithTimeout(idleFor).WithPolling(10 * poll).Should(Equal(writes))
		AddReportEntry("calls that were not writes in "+idleFor.String(), strconv.Itoa(through.Count()-calls))
	}, SpecTimeout(specTimeout))

	It("counts what it does", func(ctx SpecContext) {
		const counts = `roost_storagehealth_moves_total{method="Evict",provisioner="` + sandbox.Provisioner + `",result="Done"}`
		const durations = `roost_storagehealth_failover_duration_seconds_count{provisioner="` + sandbox.Provisioner + `"}`
		replaceManager(ctx, quick)
		pod := s.database(ctx, "db")
		Expect(counted(ctx)).NotTo(Or(HaveKey(counts), HaveKey(durations)))
		failStorage(ctx, pod.Spec.NodeName)
		expectState(ctx, pod.Spec.NodeName, storagev1alpha1.HealthFailedOver)
		now := counted(ctx)
		Expect(now).To(HaveKeyWithValue(counts, 1.0))
		Expect(now).To(HaveKeyWithValue(durations, 1.0))
		Expect(now).To(HaveKeyWithValue(nodesIn(storagev1alpha1.HealthFailedOver), 1.0))
		Expect(now).To(HaveKeyWithValue(nodesIn(storagev1alpha1.HealthHealthy), float64(nodeCount-1)))
		Expect(now).To(HaveKeyWithValue(`roost_storagehealth_pods_at_risk{provisioner="`+sandbox.Provisioner+`"}`, 0.0))
		Expect(now[`roost_storagehealth_status_writes_total{result="Done"}`]).To(BeNumerically(">=", 2))
		Expect(now["roost_storagehealth_evaluation_duration_seconds_count"]).To(BeNumerically(">", 2))
		Expect(now).NotTo(HaveKey(HavePrefix("roost_storagehealth_braked")))
	}, SpecTimeout(specTimeout))
})

func nodesIn(state storagev1alpha1.HealthState) string {
	return fmt.Sprintf("roost_storagehealth_nodes{provisioner=%q,state=%q}", sandbox.Provisioner, state)
}

// counted is what the manager serves now, by name and labels.
func counted(ctx context.Context) map[string]float64 {
	GinkgoHelper()
	found := map[string]float64{}
	for line := range strings.Lines(metrics(ctx, Default)) {
		name, text, ok := strings.Cut(strings.TrimSpace(line), " ")
		if value, err := strconv.ParseFloat(text, 64); ok && err == nil {
			found[name] = value
		}
	}
	return found
}
