// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"runtime"

	"k8s.io/client-go/discovery"

	"roost.dev/roost/cmd/sandbox/console"
	"roost.dev/roost/internal/sandbox"
)

// report is what a benchmark found.
type report interface {
	// Markdown is its tables.
	Markdown() string
	// Broken are the promises that did not hold.
	Broken() []string
}

// madeWith says what was measured on what.
func madeWith(kubernetes string) string {
	return fmt.Sprintf("Kubernetes %s; %s, %d CPUs.", kubernetes, runtime.Version(), runtime.NumCPU())
}

// showReport writes what was measured, also where that is not all because of an error.
func showReport(screen *console.Console, found report, heading string, err error) error {
	screen.Line("")
	screen.Line("%s", heading)
	screen.Line("")
	screen.Line("%s", found.Markdown())
	broken := found.Broken()
	for _, reason := range broken {
		screen.Verdict(false, reason)
	}
	if err != nil {
		return fmt.Errorf("not everything was measured: %w", err)
	}
	if len(broken) > 0 {
		return errNotHeld
	}
	return nil
}

// kubernetesVersion is the API server's, or why it is not known.
func kubernetesVersion(running *sandbox.Sandbox) string {
	api, err := discovery.NewDiscoveryClientForConfig(running.Config)
	if err != nil {
		return fmt.Sprintf("of unknown version (%v)", err)
	}
	version, err := api.ServerVersion()
	if err != nil {
		return fmt.Sprintf("of unknown version (%v)", err)
	}
	return version.GitVersion
}
