// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"

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
			return showReport(screen, report, fmt.Sprintf("Storage simulated, the CSI sidecars real; %s", madeWith(version)), nil)
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
