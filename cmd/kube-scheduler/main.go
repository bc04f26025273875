// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/component-base/metrics/legacyregistry"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // metrics of API requests
	_ "k8s.io/component-base/metrics/prometheus/version"  // metric of the build
	"k8s.io/kubernetes/cmd/kube-scheduler/app"
	"k8s.io/utils/clock"

	_ "roost.dev/roost/apis/config/scheme" // the plugins' arguments
	"roost.dev/roost/drivers"
	"roost.dev/roost/plugins"
	"roost.dev/roost/plugins/restoregate"
	"roost.dev/roost/plugins/storagehealth"
	"roost.dev/roost/plugins/volumelocality"
)

func main() {
	metrics := drivers.NewMetrics()
	legacyregistry.RawMustRegister(metrics)
	shared := plugins.NewDrivers(metrics)
	command := app.NewSchedulerCommand(
		app.WithPlugin(storagehealth.Name, storagehealth.NewFactory(shared, plugins.NewStorageNodes())),
		app.WithPlugin(restoregate.Name, restoregate.New),
		app.WithPlugin(volumelocality.Name, volumelocality.NewFactory(shared, plugins.NewSnapshots(), plugins.NewPools(clock.RealClock{}))),
	)
	os.Exit(cli.Run(command))
}
