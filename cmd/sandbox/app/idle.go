// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"

	"github.com/spf13/cobra"

	"roost.dev/roost/cmd/sandbox/console"
	"roost.dev/roost/cmd/sandbox/idle"
	"roost.dev/roost/internal/sandbox"
)

func newBenchIdle(screen *console.Console, bin *string) *cobra.Command {
	opts := idle.DefaultOptions()
	command := &cobra.Command{
		Use:   "bench-idle",
		Short: "Measure what the controller manager writes and uses while nothing happens, in a large cluster",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opts.Validate(); err != nil {
				return err
			}
			dir, err := binDir(*bin)
			if err != nil {
				return err
			}
			running, err := start(cmd.Context(), screen, sandbox.Options{BinDir: dir, Nodes: opts.SandboxNodes(), Without: idle.Without()})
			if err != nil {
				return err
			}
			report, err := idle.Run(cmd.Context(), running, screen, opts)
			version := kubernetesVersion(running)
			stop(screen, running)
			if err != nil {
				return err
			}
			return showReport(screen, report, fmt.Sprintf("Nodes simulated by kwok; %s", madeWith(version)), nil)
		},
	}
	flags := command.Flags()
	flags.IntVar(&opts.Nodes, "nodes", opts.Nodes, "how many nodes are simulated")
	flags.IntVar(&opts.Claims, "claims", opts.Claims, "how many claims there are, each with a pod")
	flags.DurationVar(&opts.For, "for", opts.For, "how long the controller manager is watched")
	return command
}
