// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"roost.dev/roost/cmd/sandbox/bench"
	"roost.dev/roost/cmd/sandbox/console"
	"roost.dev/roost/internal/sandbox"
)

var errInterrupted = errors.New("interrupted")

func newBenchFailover(screen *console.Console, bin *string) *cobra.Command {
	opts := bench.DefaultOptions()
	command := &cobra.Command{
		Use:   "bench-failover",
		Short: "Measure how long pods take to run again when their node fails, with Roost and with Kubernetes alone",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opts.Validate(); err != nil {
				return err
			}
			dir, err := binDir(*bin)
			if err != nil {
				return err
			}
			running, err := start(cmd.Context(), screen, sandbox.Options{BinDir: dir, Nodes: bench.Nodes()})
			if err != nil {
				return err
			}
			report, err := bench.Run(cmd.Context(), running, screen, opts)
			if cmd.Context().Err() != nil {
				err = errInterrupted
			}
			version := kubernetesVersion(running)
			stop(screen, running)
			return showReport(screen, report, fmt.Sprintf("%d nodes, simulated by kwok; Kubernetes %s; %d CPUs.", bench.Nodes().Count, version, runtime.NumCPU()), err)
		},
	}
	flags := command.Flags()
	flags.IntVar(&opts.Offline, "offline", opts.Offline, "how many live nodes lose their storage")
	flags.IntVar(&opts.Dead, "dead", opts.Dead, "how many nodes die, fenced from all of their volumes")
	flags.IntVar(&opts.Unproven, "unproven", opts.Unproven, "how many nodes die with a volume that they are not fenced from")
	flags.IntVar(&opts.Alone, "alone", opts.Alone, "how many nodes of each kind fail under Kubernetes alone")
	flags.DurationVar(&opts.AloneFor, "alone-for", opts.AloneFor, "how long Kubernetes alone is watched")
	flags.Uint64Var(&opts.Seed, "seed", opts.Seed, "what chance follows from")
	return command
}
