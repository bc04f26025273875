// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"

	"github.com/spf13/cobra"

	"roost.dev/roost/cmd/sandbox/console"
	"roost.dev/roost/cmd/sandbox/demo"
	"roost.dev/roost/internal/sandbox"
)

// errNotHeld makes the exit code 1. Everything has been said by then.
var errNotHeld = errors.New("the demo did not hold")

func newDemo(screen *console.Console, bin *string) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Play the story: pods and their data, storage that fails, snapshots and the way back",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := binDir(*bin)
			if err != nil {
				return err
			}
			running, err := start(cmd.Context(), screen, sandbox.Options{
				BinDir: dir, Nodes: sandbox.Nodes{Count: 300, Zones: 3, Racks: 30},
			})
			if err != nil {
				return err
			}
			result := demo.Play(cmd.Context(), running, screen)
			stop(screen, running)
			screen.Line("")
			screen.Line("demo: %d passed, %d failed", result.Passed, result.Failed)
			if result.Failed > 0 || result.Passed == 0 {
				return errNotHeld
			}
			return nil
		},
	}
}
