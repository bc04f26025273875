// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"roost.dev/roost/cmd/sandbox/console"
)

// Run runs the command line and returns the exit code.
func Run(ctx context.Context, args []string, out, errOut io.Writer) int {
	// The libraries would log into the lines on the screen what the sandbox reports itself.
	log.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	screen := console.New(out)
	command := &cobra.Command{
		Use:           "sandbox",
		Short:         "A whole Kubernetes control plane on this machine, with simulated nodes and storage",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	bin := command.PersistentFlags().String("bin", "", "directory with the programs that make build makes (default: where this program is)")
	command.AddCommand(newUp(screen, bin), newDemo(screen, bin), newBenchFailover(screen, bin), newBenchIdle(screen, bin), newBenchSnapshots(screen, bin))
	command.SetArgs(args)
	command.SetOut(out)
	command.SetErr(errOut)
	err := command.ExecuteContext(ctx)
	screen.EndProgress()
	if err == nil {
		return 0
	}
	if !errors.Is(err, errNotHeld) {
		fmt.Fprintf(errOut, "sandbox: %v\n", err)
	}
	return 1
}

// binDir is the directory that was asked for, or the one that this program is in.
func binDir(asked string) (string, error) {
	if asked != "" {
		return asked, nil
	}
	program, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding the directory of this program: %w", err)
	}
	return filepath.Dir(program), nil
}
