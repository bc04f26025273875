// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"roost.dev/roost/internal/sandbox"
)

const (
	// startTimeout is for a whole start on a slow machine; it takes 10 seconds on two cores.
	startTimeout = 3 * time.Minute
	// patience is how long something may take that usually takes a second. It is far below the five minutes after which
	// the scheduler tries again of itself.
	patience = 20 * time.Second
	// poll is how often the API server is asked.
	poll = 50 * time.Millisecond

	nodeCount, zoneCount, rackCount = 12, 3, 6
	// nodeCPU is what a node has, and nearlyFull leaves room for one small pod there.
	nodeCPU, nearlyFull = "2", "1700m"
)

// shared is the sandbox of all specs but those about what is there at the start.
var shared *sandbox.Sandbox

func TestIntegration(t *testing.T) {
	log.SetLogger(logr.Discard())
	RegisterFailHandler(Fail)
	// Otherwise what is given a context waits until that ends, which is never.
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(patience)
	SetDefaultEventuallyPollingInterval(poll)
	RunSpecs(t, "Roost's scheduler in a cluster")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	shared = startSandbox(ctx, sandbox.Options{
		Nodes:   sandbox.Nodes{Count: nodeCount, Zones: zoneCount, Racks: rackCount, CPU: resource.MustParse(nodeCPU)},
		Without: sets.New(sandbox.StockScheduler),
	})
	createPriorities(ctx, shared)
}, NodeTimeout(startTimeout))

// A program that died would only be seen as specs that time out.
var _ = BeforeEach(func() {
	Expect(shared.Err()).NotTo(HaveOccurred())
})

// startSandbox starts a sandbox that is stopped with the node that calls it: the suite, or a spec.
func startSandbox(ctx context.Context, options sandbox.Options) *sandbox.Sandbox {
	GinkgoHelper()
	options.BinDir, options.ManifestsDir = binDir(), manifestsDir()
	box, err := sandbox.Start(ctx, options)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() {
		// Whatever happens here, no process stays.
		defer box.Stop()
		expectHealthy(box)
	})
	return box
}

// binDir is where `make build` puts the programs.
func binDir() string {
	GinkgoHelper()
	bin, err := sandbox.RepositoryBin()
	Expect(err).NotTo(HaveOccurred())
	return bin
}

// manifestsDir is the repository's.
func manifestsDir() string {
	GinkgoHelper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "manifests"))
	Expect(err).NotTo(HaveOccurred())
	return dir
}

// expectHealthy finds that every program of the sandbox still runs, and that our scheduler neither asked for what its role
// does not allow nor came near a crash.
func expectHealthy(box *sandbox.Sandbox) {
	GinkgoHelper()
	Expect(box.Err()).NotTo(HaveOccurred())
	content, err := os.ReadFile(box.SchedulerLog())
	Expect(err).NotTo(HaveOccurred())
	scheduler := string(content)
	Expect(scheduler).To(ContainSubstring("Starting Kubernetes Scheduler"), "this is the scheduler's log")
	// "forbidden" is also what events meet that come too late for their namespace; those of roles go on with the user's name.
	for _, bad := range []string{"forbidden: user", "observed a panic", "goroutine 1 ["} {
		Expect(linesWith(scheduler, bad)).To(BeEmpty())
	}
}
