// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"github.com/spf13/cobra"
	"k8s.io/component-base/featuregate"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	crlog "sigs.k8s.io/controller-runtime/pkg/log"
)

// NewCommand returns simstorage's command. Its context ends its run.
func NewCommand() *cobra.Command {
	o := NewOptions()
	logging := logsapi.NewLoggingConfiguration()
	gates := featuregate.NewFeatureGate()
	command := &cobra.Command{
		Use:   "simstorage",
		Short: "A small storage system for tests and demos",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			logs.InitLogs()
			if err := logsapi.ValidateAndApply(logging, gates); err != nil {
				return err
			}
			crlog.SetLogger(klog.Background())
			return Run(command.Context(), o)
		},
	}
	o.AddFlags(command.Flags())
	if err := logsapi.AddFeatureGates(gates); err != nil {
		panic(err) // the gates are new, so there is nothing to conflict with
	}
	logsapi.AddFlags(logging, command.Flags())
	return command
}
