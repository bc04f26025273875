// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"roost.dev/roost/cmd/sandbox/console"
	"roost.dev/roost/internal/sandbox"
)

func newUp(screen *console.Console, bin *string) *cobra.Command {
	opts := sandbox.Options{Nodes: sandbox.Nodes{Count: 30, Zones: 3, Racks: 6}}
	command := &cobra.Command{
		Use:   "up",
		Short: "Start a sandbox and keep it until Ctrl-C",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if opts.BinDir, err = binDir(*bin); err != nil {
				return err
			}
			return up(cmd.Context(), screen, opts)
		},
	}
	flags := command.Flags()
	flags.IntVar(&opts.Nodes.Count, "nodes", opts.Nodes.Count, "how many nodes are simulated")
	flags.IntVar(&opts.Nodes.Zones, "zones", opts.Nodes.Zones, "how many zones they are in")
	flags.IntVar(&opts.Nodes.Racks, "racks", opts.Nodes.Racks, "how many racks they are in, a multiple of the zones")
	flags.StringVar(&opts.Dir, "dir", "", "directory for all files, removed in the end (default: a new temporary one)")
	return command
}

// up keeps a sandbox until ctx ends or one of its programs does.
func up(ctx context.Context, screen *console.Console, opts sandbox.Options) error {
	running, err := start(ctx, screen, opts)
	if err != nil {
		return err
	}
	defer stop(screen, running)
	kubectl := filepath.Join(opts.BinDir, "k8s", "kubectl")
	screen.Line("")
	screen.Line("kubeconfig: %s", running.Kubeconfig)
	screen.Line("logs:       %s", filepath.Join(running.Dir(), "logs"))
	screen.Line("")
	screen.Line("Try this in another terminal:")
	for _, line := range tryThis(running.Kubeconfig, kubectl, filepath.Join(opts.BinDir, "..", "manifests", "examples", "second-scheduler.yaml")) {
		screen.Line("  %s", line)
	}
	screen.Line("")
	screen.Line("Ctrl-C, or kill -INT %d, ends it and removes everything.", os.Getpid())
	select {
	case <-ctx.Done():
		return nil
	case <-running.Failed():
		return running.Err()
	}
}

func tryThis(kubeconfig, kubectl, example string) []string {
	return []string{
		"export KUBECONFIG=" + kubeconfig,
		"sed s/replicated/" + sandbox.StorageClass + "/ " + filepath.Clean(example) + " | " + kubectl + " apply -f -",
		kubectl + " get pods -o wide",
		kubectl + " get volumetopologies",
		kubectl + " get storagenodes",
	}
}

// start starts a sandbox and shows each step.
func start(ctx context.Context, screen *console.Console, opts sandbox.Options) (*sandbox.Sandbox, error) {
	screen.Heading("Starting the sandbox")
	opts.Begin = func(step string) { screen.Progress("%s", step) }
	opts.Progress = func(step sandbox.Step) { screen.Step(step.Name, step.Took) }
	running, err := sandbox.Start(ctx, opts)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("stopped before the sandbox was ready; nothing is left behind")
	}
	return running, err
}

func stop(screen *console.Console, running *sandbox.Sandbox) {
	screen.EndProgress()
	screen.Progress("stopping")
	running.Stop()
	screen.EndProgress()
	screen.Line("Stopped; nothing is left behind.")
}
