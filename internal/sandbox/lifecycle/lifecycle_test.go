// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"roost.dev/roost/internal/sandbox"
)

// startTimeout is for a whole start on a slow machine; it takes 10 seconds on two cores.
const startTimeout = 3 * time.Minute

// small is a sandbox without what these tests do not need.
func small(dir string) sandbox.Options {
	return sandbox.Options{
		BinDir:       realBin(),
		ManifestsDir: manifests(),
		Dir:          dir,
		Nodes:        sandbox.Nodes{Count: 4, Zones: 2, Racks: 2},
		Without:      sets.New(sandbox.Storage, sandbox.Sidecars, sandbox.RoostScheduler, sandbox.RoostManager, sandbox.RoostCRDs, sandbox.StockScheduler),
	}
}

var _ = Describe("A sandbox that starts", func() {
	It("has its nodes Ready, outlives the start's context, and leaves nothing behind when it is stopped", func(ctx SpecContext) {
		dir := newDir()
		starting, cancel := context.WithCancel(ctx)
		running, err := sandbox.Start(starting, small(dir))
		cancel()
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(running.Stop)
		Consistently(running.Failed(), "2s").ShouldNot(BeClosed())
		var nodes corev1.NodeList
		Expect(running.Client.List(ctx, &nodes)).To(Succeed())
		Expect(nodes.Items).To(HaveLen(4))
		Expect(len(processesOf(dir))).To(BeNumerically(">=", 5), "watchdog, etcd, API server, controller manager and kwok")
		running.Stop()
		expectNothingLeft(dir)
		Expect(running.Err()).NotTo(HaveOccurred(), "a program that was stopped did not fail")
	}, NodeTimeout(startTimeout))
})

var _ = Describe("A start that fails", func() {
	DescribeTable("names the program and shows its log, and leaves nothing behind",
		func(ctx SpecContext, program, name string) {
			opts := small(newDir())
			opts.BinDir = binWith(map[string]string{program: "echo I am broken; exit 3"})
			_, err := sandbox.Start(ctx, opts)
			Expect(err).To(MatchError(And(ContainSubstring(name), ContainSubstring("I am broken"))))
			expectNothingLeft(opts.Dir)
		},
		Entry("etcd", "k8s/etcd", "etcd", NodeTimeout(startTimeout)),
		Entry("the API server", "k8s/kube-apiserver", "kube-apiserver", NodeTimeout(startTimeout)),
		Entry("the controller manager", "k8s/kube-controller-manager", "kube-controller-manager ended with exit status 3", NodeTimeout(startTimeout)),
		Entry("kwok", "k8s/kwok", "kwok ended with exit status 3", NodeTimeout(startTimeout)),
	)

	It("leaves nothing behind when it is interrupted while a program does not come up", func(ctx SpecContext) {
		for _, program := range []string{"kube-apiserver", "kube-controller-manager"} {
			opts := small(newDir())
			opts.BinDir = binWith(map[string]string{"k8s/" + program: "exec sleep 600"})
			starting, interrupt := context.WithCancel(ctx)
			go func() {
				defer GinkgoRecover()
				defer interrupt()
				noted := filepath.Join(opts.Dir, "pids", program)
				Eventually(func() string { return noted }, "1m", "50ms").Should(BeAnExistingFile())
			}()
			_, err := sandbox.Start(starting, opts)
			Expect(err).To(MatchError(context.Canceled), program)
			expectNothingLeft(opts.Dir)
		}
	}, NodeTimeout(startTimeout))
})

var _ = Describe("A program that dies while the sandbox runs", func() {
	It("is reported, whoever started it", func(ctx SpecContext) {
		for _, name := range []string{"kwok", "etcd"} {
			dir := newDir()
			running, err := sandbox.Start(ctx, small(dir))
			Expect(err).NotTo(HaveOccurred())
			DeferCleanup(running.Stop)
			Expect(syscall.Kill(pidOf(dir, name), syscall.SIGKILL)).To(Succeed())
			Eventually(running.Failed(), "10s").Should(BeClosed())
			Expect(running.Err()).To(MatchError(And(HavePrefix(name), ContainSubstring("the end of its log"))))
			running.Stop()
			expectNothingLeft(dir)
		}
	}, NodeTimeout(startTimeout))
})

// pidOf reads what the sandbox noted for its watchdog.
func pidOf(dir, program string) int {
	content, err := os.ReadFile(filepath.Join(dir, "pids", program))
	Expect(err).NotTo(HaveOccurred())
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	Expect(err).NotTo(HaveOccurred())
	return pid
}

// upAndRunning is what "sandbox up" prints last.
const upAndRunning = "ends it and removes everything"

var _ = Describe("The program sandbox", func() {
	// begin starts `sandbox up` and returns once it has printed a line with that text.
	begin := func(dir, text string) *exec.Cmd {
		command := exec.Command(filepath.Join(realBin(), "sandbox"), "up", "--nodes=4", "--racks=2", "--zones=2", "--dir="+dir)
		command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		command.Stderr = GinkgoWriter
		output, err := command.StdoutPipe()
		Expect(err).NotTo(HaveOccurred())
		Expect(command.Start()).To(Succeed())
		DeferCleanup(func() {
			_ = command.Process.Kill()
			Eventually(func() []string { return processesOf(dir) }, "10s").Should(BeEmpty(), "the watchdog needs the directory until then")
		})
		lines := bufio.NewScanner(io.TeeReader(output, GinkgoWriter))
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				go func() { _, _ = io.Copy(io.Discard, output) }()
				return command
			}
		}
		Fail("the output ended without " + text)
		return nil
	}

	It("leaves nothing behind after Ctrl-C, and exits with 0", func(SpecContext) {
		dir := newDir()
		command := begin(dir, upAndRunning)
		// A terminal sends it to the whole group.
		Expect(syscall.Kill(-command.Process.Pid, syscall.SIGINT)).To(Succeed())
		Expect(command.Wait()).To(Succeed())
		expectNothingLeft(dir)
	}, NodeTimeout(startTimeout))

	It("leaves nothing behind after Ctrl-C during the start, and says so with exit code 1", func(SpecContext) {
		dir := newDir()
		command := begin(dir, "etcd and kube-apiserver")
		Expect(syscall.Kill(-command.Process.Pid, syscall.SIGINT)).To(Succeed())
		Expect(command.Wait()).To(MatchError(ContainSubstring("exit status 1")))
		expectNothingLeft(dir)
	}, NodeTimeout(startTimeout))

	It("leaves nothing behind even when it is killed", func(SpecContext) {
		dir := newDir()
		command := begin(dir, upAndRunning)
		Expect(len(processesOf(dir))).To(BeNumerically(">=", 8))
		Expect(command.Process.Kill()).To(Succeed())
		_ = command.Wait()
		Eventually(func(g Gomega) {
			g.Expect(processesOf(dir)).To(BeEmpty())
			g.Expect(dir).NotTo(BeADirectory())
		}, "10s").Should(Succeed())
	}, NodeTimeout(startTimeout))
})
