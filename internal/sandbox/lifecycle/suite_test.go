// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"roost.dev/roost/internal/sandbox"
)

func TestLifecycle(t *testing.T) {
	log.SetLogger(logr.Discard())
	RegisterFailHandler(Fail)
	RunSpecs(t, "The sandbox's life")
}

// realBin is the directory that `make build` fills.
func realBin() string {
	bin, err := sandbox.RepositoryBin()
	Expect(err).NotTo(HaveOccurred())
	bin, err = filepath.Abs(bin)
	Expect(err).NotTo(HaveOccurred())
	return bin
}

// binWith is a directory with all real programs, but for those that are shell scripts here.
func binWith(scripts map[string]string) string {
	bin := GinkgoT().TempDir()
	Expect(os.Mkdir(filepath.Join(bin, "k8s"), 0o700)).To(Succeed())
	for _, folder := range []string{"", "k8s"} {
		entries, err := os.ReadDir(filepath.Join(realBin(), folder))
		Expect(err).NotTo(HaveOccurred())
		for _, entry := range entries {
			name := filepath.Join(folder, entry.Name())
			if _, replaced := scripts[name]; !replaced && name != "k8s" {
				Expect(os.Symlink(filepath.Join(realBin(), name), filepath.Join(bin, name))).To(Succeed())
			}
		}
	}
	for name, script := range scripts {
		Expect(os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700)).To(Succeed())
	}
	return bin
}

// manifests are the repository's.
func manifests() string { return filepath.Join(realBin(), "..", "manifests") }

// newDir is a directory for a sandbox. It does not exist yet, and its name is in the command line of every process that a
// sandbox starts.
func newDir() string {
	parent, err := os.MkdirTemp("", "roost-life-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, parent)
	return filepath.Join(parent, "s")
}

// processesOf are the command lines of the processes that name a directory.
func processesOf(dir string) []string {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	Expect(err).NotTo(HaveOccurred())
	Expect(files).NotTo(BeEmpty(), "processes are counted in /proc")
	var found []string
	for _, file := range files {
		// One that ends in the meantime has none.
		content, _ := os.ReadFile(file)
		line := strings.ReplaceAll(string(content), "\x00", " ")
		if strings.Contains(line, dir+"/") || strings.HasSuffix(strings.TrimSpace(line), dir) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// expectNothingLeft finds no process and no file of a sandbox.
func expectNothingLeft(dir string) {
	GinkgoHelper()
	Expect(processesOf(dir)).To(BeEmpty())
	Expect(dir).NotTo(BeAnExistingFile())
	Expect(dir).NotTo(BeADirectory())
}
