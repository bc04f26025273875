// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"runtime"

	"github.com/spf13/cobra"

	"roost.dev/roost/cmd/sandbox/console"
	"roost.dev/roost/cmd/sandbox/tick"
	"roost.dev/roost/internal/sandbox"
)

func newBenchSnapshots(screen *console.Console, bin *string) *cobra.Command {
	opts := tick.DefaultOptions()
	command := &cobra.Command{
		Use:   "bench-snapshots",
		Short: "Measure what it takes when thousands of snapshots are due at one moment",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opts.Validate(); err != nil {
				return err
			}
			dir, err := binDir(*bin)
			if err != nil {
				return err
			}
			running, err := start(cmd.Context(), screen, sandbox.Options{BinDir: dir, Nodes: opts.SandboxNodes(), Without: tick.Without()})
			if err != nil {
				return err
			}
			report, err := tick.Run(cmd.Context(), running, screen, opts)
			version := kubernetesVersion(running)
			stop(screen, running)
			if err != nil {
				return err
			}
			return showTick(screen, report, version)
		},
	}
	flags := command.Flags()
	flags.IntVar(&opts.Claims, "claims", opts.Claims, "how many claims there are, each with a snapshot that is due")
	flags.IntVar(&opts.Namespaces, "namespaces", opts.Namespaces, "how many namespaces the claims are in")
	flags.DurationVar(&opts.Jitter, "jitter", opts.Jitter, "the jitter of all schedules")
	flags.IntVar(&opts.QPS, "qps", opts.QPS, "the controller manager's snapshots.qps")
	flags.StringVar(&opts.Profiling, "profiling", opts.Profiling, "where the controller manager serves its profiles, host:port; 0 is nowhere")
	return command
}

func showTick(screen *console.Console, report *tick.Report, version string) error {
	screen.Line("")
	screen.Line("Storage simulated, the CSI sidecars real; Kubernetes %s; %s, %d CPUs.", version, runtime.Version(), runtime.NumCPU())
	screen.Line("")
	screen.Line("%s", report.Markdown())
	broken := report.Broken()
	for _, reason := range broken {
		screen.Verdict(false, reason)
	}
	if len(broken) > 0 {
		return errNotHeld
	}
	return nil
}
