// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"roost.dev/roost/apis/manager/scheme"
	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/apis/manager/validation"
)

// options are the flags' values. Those that were given override the configuration file.
type options struct {
	configFile         string
	kubeconfig         string
	leaderElect        bool
	controllers        []string
	healthBindAddress  string
	metricsBindAddress string
	profilingAddress   string
	dryRun             bool
}

func (o *options) addFlags(flags *pflag.FlagSet) {
	defaults := scheme.Default()
	flags.StringVar(&o.configFile, "config", "", "File of kind ControllerManagerConfiguration. Without one, everything has its default")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "Kubeconfig to reach the API server. Without one, the pod's service account is used")
	flags.BoolVar(&o.leaderElect, "leader-elect", *defaults.LeaderElection.LeaderElect, "Do nothing while another controller manager leads")
	flags.StringSliceVar(&o.controllers, "controllers", defaults.Controllers,
		"Loops to run: '*' is all, 'name' one, '-name' not that one. There are: "+strings.Join(loopNames(), ", "))
	flags.StringVar(&o.healthBindAddress, "health-bind-address", defaults.Health.BindAddress, "Where /healthz and /readyz are served; 0 is nowhere")
	flags.StringVar(&o.metricsBindAddress, "metrics-bind-address", defaults.Metrics.BindAddress, "Where /metrics is served; 0 is nowhere")
	flags.StringVar(&o.profilingAddress, "profiling-bind-address", defaults.Profiling.BindAddress, "Where /debug/pprof is served; 0 is nowhere")
	flags.BoolVar(&o.dryRun, "dry-run", false, "Say in events and statuses what a failover would do, and do nothing")
}

// load gives the configuration that the file and the flags make together, or everything that is wrong with it.
func (o *options) load(flags *pflag.FlagSet) (*managerv1alpha1.ControllerManagerConfiguration, error) {
	config, err := o.readFile()
	if err != nil {
		return nil, err
	}
	o.override(flags, config)
	errs := validation.ValidateConfiguration(config, loopNames())
	if errs = append(errs, validateTogether(config.Controllers)...); len(errs) > 0 {
		return nil, fmt.Errorf("the configuration is not valid: %w", errs.ToAggregate())
	}
	return config, nil
}

func (o *options) readFile() (*managerv1alpha1.ControllerManagerConfiguration, error) {
	if o.configFile == "" {
		return scheme.Default(), nil
	}
	text, err := os.ReadFile(o.configFile)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	config, err := scheme.Decode(text)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration %s: %w", o.configFile, err)
	}
	return config, nil
}

// override sets what flags were given for, and leaves the rest as the file says.
func (o *options) override(flags *pflag.FlagSet, config *managerv1alpha1.ControllerManagerConfiguration) {
	mode := managerv1alpha1.Enforce
	if o.dryRun {
		mode = managerv1alpha1.DryRun
	}
	for name, set := range map[string]func(){
		"kubeconfig":             func() { config.ClientConnection.Kubeconfig = o.kubeconfig },
		"leader-elect":           func() { config.LeaderElection.LeaderElect = &o.leaderElect },
		"controllers":            func() { config.Controllers = o.controllers },
		"health-bind-address":    func() { config.Health.BindAddress = o.healthBindAddress },
		"metrics-bind-address":   func() { config.Metrics.BindAddress = o.metricsBindAddress },
		"profiling-bind-address": func() { config.Profiling.BindAddress = o.profilingAddress },
		"dry-run":                func() { config.StorageHealth.Failover.Mode = mode },
	} {
		if flags.Changed(name) {
			set()
		}
	}
}
