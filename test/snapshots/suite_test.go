// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshots

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
)

// box is the sandbox of all specs.
var box *sandbox.Sandbox

func TestSnapshots(t *testing.T) {
	log.SetLogger(logr.Discard())
	RegisterFailHandler(Fail)
	// Otherwise what is given a context waits until that ends, which is never.
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(patience)
	SetDefaultEventuallyPollingInterval(poll)
	RunSpecs(t, "Snapshots")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	box = startSandbox(ctx, sandbox.Options{Nodes: sandbox.Nodes{Count: 6}, Without: sets.New(sandbox.StockScheduler)})
}, NodeTimeout(startTimeout))

// A program that died would only be seen as specs that time out.
var _ = BeforeEach(func() {
	Expect(box.Err()).NotTo(HaveOccurred())
})

// startSandbox starts a sandbox that is stopped with the node that calls it.
func startSandbox(ctx context.Context, options sandbox.Options) *sandbox.Sandbox {
	GinkgoHelper()
	bin, err := sandbox.RepositoryBin()
	Expect(err).NotTo(HaveOccurred())
	options.BinDir = bin
	options.ManifestsDir, err = filepath.Abs(filepath.Join("..", "..", "manifests"))
	Expect(err).NotTo(HaveOccurred())
	started, err := sandbox.Start(ctx, options)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() {
		defer started.Stop() // whatever happens here, no process stays
		Expect(started.Err()).NotTo(HaveOccurred())
		expectNoForbiddenCall(started.Manager.Log())
		if !options.Without.Has(sandbox.RoostScheduler) {
			expectNoForbiddenCall(started.SchedulerLog())
		}
	})
	return started
}

// expectNoForbiddenCall finds in a program's log that it neither asked for what its role does not allow nor came near a
// crash.
func expectNoForbiddenCall(logPath string) {
	GinkgoHelper()
	content, err := os.ReadFile(logPath)
	Expect(err).NotTo(HaveOccurred())
	Expect(content).NotTo(BeEmpty())
	for line := range strings.Lines(string(content)) {
		for _, bad := range []string{"forbidden: user", "observed a panic", "goroutine 1 ["} {
			Expect(strings.ToLower(line)).NotTo(ContainSubstring(bad))
		}
	}
}
