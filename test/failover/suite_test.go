// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"roost.dev/roost/internal/sandbox"
)

const (
	// startTimeout is for a whole start on a slow machine; it takes 15 seconds on two cores.
	startTimeout = 3 * time.Minute
	// specTimeout is for a spec whose every step takes as long as it may.
	specTimeout = 3 * time.Minute
	// patience is how long something may take that usually takes a second or two.
	patience = 40 * time.Second
	// poll is how often the API server is asked.
	poll = 50 * time.Millisecond
	// specPause is how long it is watched that nothing happens: longer than the quick manager takes to act.
	specPause = 6 * time.Second

	// nodeCount allows four bad nodes before the brake holds.
	nodeCount, zoneCount, rackCount = 12, 3, 6
)

// quick is the manager's configuration for all specs: the shipped one, with times that are five times shorter.
const quick = `apiVersion: manager.roost.dev/v1alpha1
kind: ControllerManagerConfiguration
storageHealth:
  unhealthyAfter: 2s
  healthyAfter: 4s
  reportPeriod: 400ms
`

// box is the sandbox of all specs.
var box *sandbox.Sandbox

func TestFailover(t *testing.T) {
	log.SetLogger(logr.Discard())
	RegisterFailHandler(Fail)
	// Otherwise what is given a context waits until that ends, which is never.
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(patience)
	SetDefaultEventuallyPollingInterval(poll)
	RunSpecs(t, "Storage that fails")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	bin, err := sandbox.RepositoryBin()
	Expect(err).NotTo(HaveOccurred())
	manifests, err := filepath.Abs(filepath.Join("..", "..", "manifests"))
	Expect(err).NotTo(HaveOccurred())
	box, err = sandbox.Start(ctx, sandbox.Options{
		BinDir: bin, ManifestsDir: manifests,
		Nodes:         sandbox.Nodes{Count: nodeCount, Zones: zoneCount, Racks: rackCount, Pods: 600, Volumes: 600},
		Without:       sets.New(sandbox.StockScheduler),
		ManagerConfig: quick,
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) {
		defer box.Stop() // whatever happens here, no process stays
		mendAll(ctx)
		expectNoViolation(ctx)
		Expect(box.Err()).NotTo(HaveOccurred())
		expectNoForbiddenCall(box.Manager.Log())
		expectNoForbiddenCall(box.SchedulerLog())
	}, NodeTimeout(patience))
}, NodeTimeout(startTimeout))

// A program that died would only be seen as specs that time out.
var _ = BeforeEach(func() {
	Expect(box.Err()).NotTo(HaveOccurred())
})

// expectNoForbiddenCall finds in a program's log that it neither asked for what its role does not allow nor came near a
// crash.
func expectNoForbiddenCall(logPath string) {
	GinkgoHelper()
	content, err := os.ReadFile(logPath)
	Expect(err).NotTo(HaveOccurred())
	Expect(content).NotTo(BeEmpty())
	for line := range strings.Lines(string(content)) {
		// "forbidden" is also what events meet that come too late for their namespace; those of roles go on with the user's name.
		for _, bad := range []string{"forbidden: user", "observed a panic", "goroutine 1 ["} {
			Expect(strings.ToLower(line)).NotTo(ContainSubstring(bad))
		}
	}
}

// restartManager runs the manager with another configuration until the end of the spec.
func restartManager(ctx context.Context, config string) {
	GinkgoHelper()
	replaceManager(ctx, config)
	DeferCleanup(func(ctx SpecContext) { replaceManager(ctx, quick) }, NodeTimeout(patience))
}

func replaceManager(ctx context.Context, config string) {
	GinkgoHelper()
	box.Manager.Stop()
	var err error
	box.Manager, err = box.StartManager(ctx, sandbox.ManagerOptions{Config: config})
	Expect(err).NotTo(HaveOccurred())
}
