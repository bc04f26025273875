// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
	"k8s.io/client-go/pkg/version"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

const program = "controller-manager"

// NewCommand returns the program. It runs until its context is done.
func NewCommand() *cobra.Command {
	o := &options{}
	command := &cobra.Command{
		Use:   program,
		Short: "Moves pods away from nodes whose storage failed, and takes, schedules and restores snapshots",
		Long: "The controller manager keeps a verdict on every storage system's part on every node, in StorageNode objects, and\n" +
			"moves pods away from nodes whose storage failed. It takes the snapshots of ApplicationSnapshots and SnapshotSchedules,\n" +
			"and carries out SnapshotRestores. Flags override the configuration file.",
		Example: "  # As it is shipped, but only say what would be done\n" +
			"  " + program + " --config manager-config.yaml --dry-run",
		Args:    cobra.NoArgs,
		Version: versionText(),
		RunE: func(command *cobra.Command, _ []string) error {
			config, err := o.load(command.Flags())
			if err != nil {
				return err
			}
			logger := klog.Background()
			ctrl.SetLogger(logger)
			return run(klog.NewContext(command.Context(), logger), config)
		},
	}
	o.addFlags(command.Flags())
	return command
}

// versionText is what --version prints after the program's name.
func versionText() string {
	own := "(devel)"
	if build, ok := debug.ReadBuildInfo(); ok && build.Main.Version != "" {
		own = build.Main.Version
	}
	return fmt.Sprintf("%s, with the client of Kubernetes %s", own, version.Get().GitVersion)
}
