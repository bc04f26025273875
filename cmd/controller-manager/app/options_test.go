// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"roost.dev/roost/apis/manager/scheme"
	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
)

const header = "apiVersion: manager.roost.dev/v1alpha1\nkind: ControllerManagerConfiguration\n"

// load gives what the file and the arguments make. Without text there is no file.
func load(t *testing.T, text string, args ...string) (*managerv1alpha1.ControllerManagerConfiguration, error) {
	t.Helper()
	if text != "" {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config="+path)
	}
	o, flags := &options{}, pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.addFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return o.load(flags)
}

func TestFlagsOverrideTheFile(t *testing.T) {
	const file = header + "clientConnection: {kubeconfig: from-file, qps: 7}\nleaderElection: {leaderElect: false}\ncontrollers: [-storagehealth]\n" +
		"health: {bindAddress: \":1\"}\nmetrics: {bindAddress: \":2\"}\nprofiling: {bindAddress: \":3\"}\nstorageHealth: {failover: {mode: DryRun}}\n"
	fromFile := func(c *managerv1alpha1.ControllerManagerConfiguration) {
		c.ClientConnection.Kubeconfig, c.ClientConnection.QPS = "from-file", 7
		c.LeaderElection.LeaderElect, c.Controllers = new(false), []string{"-storagehealth"}
		c.Health.BindAddress, c.Metrics.BindAddress, c.Profiling.BindAddress = ":1", ":2", ":3"
		c.StorageHealth.Failover.Mode = managerv1alpha1.DryRun
	}
	tests := map[string]struct {
		file string
		args []string
		want func(*managerv1alpha1.ControllerManagerConfiguration)
	}{
		"neither: the defaults":                      {want: func(*managerv1alpha1.ControllerManagerConfiguration) {}},
		"a file: flags that are not given hold back": {file: file, want: fromFile},
		"flags alone": {
			args: []string{"--dry-run", "--kubeconfig=k", "--profiling-bind-address=127.0.0.1:0"},
			want: func(c *managerv1alpha1.ControllerManagerConfiguration) {
				c.ClientConnection.Kubeconfig, c.Profiling.BindAddress = "k", "127.0.0.1:0"
				c.StorageHealth.Failover.Mode = managerv1alpha1.DryRun
			},
		},
		"every flag against the file, also with its default": {
			file: file,
			args: []string{
				"--kubeconfig=from-flag", "--leader-elect=true", "--controllers=*", "--health-bind-address=:8081",
				"--metrics-bind-address=0", "--profiling-bind-address=0", "--dry-run=false",
			},
			want: func(c *managerv1alpha1.ControllerManagerConfiguration) {
				c.ClientConnection.Kubeconfig, c.ClientConnection.QPS, c.Metrics.BindAddress = "from-flag", 7, "0"
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := load(t, tc.file, tc.args...)
			if err != nil {
				t.Fatal(err)
			}
			want := scheme.Default()
			tc.want(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := map[string]struct {
		file string
		args []string
		want []string
	}{
		"a file that is not there": {args: []string{"--config=/does/not/exist"}, want: []string{"reading the configuration: ", "/does/not/exist"}},
		"a file with a field that does not exist": {
			file: header + "storageHealth: {unhealthy: 1s}",
			want: []string{"reading the configuration /", `unknown field "storageHealth.unhealthy"`},
		},
		"a loop that does not exist": {
			args: []string{"--controllers=storagehealth,backups"},
			want: []string{`controllers[1]: Unsupported value: "backups": supported values: "*", `, `"snapshots", "-snapshots"`, `"storagehealth", "-storagehealth"`},
		},
		"restores without anybody who takes their safety snapshots": {
			args: []string{"--controllers=*,-snapshots"},
			want: []string{"snapshotschedules must not run without snapshots", "snapshotrestores must not run without snapshots"},
		},
		"all that is wrong, in the file and in flags": {
			file: header + "storageHealth: {badReports: -1}",
			args: []string{"--metrics-bind-address=here"},
			want: []string{"storageHealth.badReports: Invalid value: -1", `metrics.bindAddress: Invalid value: "here"`},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, tc.file, tc.args...)
			if err == nil {
				t.Fatal("loaded without an error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
		})
	}
}

func TestCommandTellsAboutItself(t *testing.T) {
	tests := map[string]struct {
		arg  string
		want []string
	}{
		"help": {arg: "--help", want: []string{
			"--config", "--kubeconfig", "--leader-elect", "--controllers", "--health-bind-address", "--metrics-bind-address",
			"--profiling-bind-address", "--dry-run", "There are: storagehealth",
		}},
		"version": {arg: "--version", want: []string{"controller-manager version ", "Kubernetes v"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var printed bytes.Buffer
			command := NewCommand()
			command.SetArgs([]string{tc.arg})
			command.SetOut(&printed)
			if err := command.ExecuteContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, want := range tc.want {
				if !strings.Contains(printed.String(), want) {
					t.Errorf("%q is missing in:\n%s", want, &printed)
				}
			}
		})
	}
}

func TestCommandTakesNoArguments(t *testing.T) {
	command := NewCommand()
	command.SetArgs([]string{"now"})
	command.SilenceErrors, command.SilenceUsage = true, true
	if err := command.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), `"now"`) {
		t.Errorf("error = %v, want one about the argument", err)
	}
}

func TestLoopsAreSwitched(t *testing.T) {
	tests := map[string]struct {
		controllers []string
		want        bool
	}{
		"all":              {controllers: []string{"*"}, want: true},
		"this one":         {controllers: []string{"storagehealth"}, want: true},
		"all but this one": {controllers: []string{"*", "-storagehealth"}},
		"all but another":  {controllers: []string{"*", "-other"}, want: true},
		"another":          {controllers: []string{"other"}},
		"none":             {controllers: []string{"-storagehealth"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := isOn(tc.controllers, "storagehealth"); got != tc.want {
				t.Errorf("on = %t, want %t", got, tc.want)
			}
		})
	}
}
