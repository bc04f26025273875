// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"roost.dev/roost/apis/manager/scheme"
	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
)

var loops = []string{"storagehealth", "schedules"}

func duration(d time.Duration) metav1.Duration { return metav1.Duration{Duration: d} }

// nodePlugin is one that is valid.
func nodePlugin() managerv1alpha1.NodePlugin {
	return managerv1alpha1.NodePlugin{
		Provisioner: "csi.example.com", Namespace: "storage",
		Selector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "node"}},
	}
}

// messages are what validation says of the defaults with a change.
func messages(change func(*managerv1alpha1.ControllerManagerConfiguration)) []string {
	config := scheme.Default()
	change(config)
	var found []string
	for _, err := range ValidateConfiguration(config, loops) {
		found = append(found, err.Error())
	}
	return found
}

func TestValid(t *testing.T) {
	tests := map[string]func(*managerv1alpha1.ControllerManagerConfiguration){
		"the defaults": func(*managerv1alpha1.ControllerManagerConfiguration) {},
		"nothing served": func(c *managerv1alpha1.ControllerManagerConfiguration) {
			c.Metrics.BindAddress, c.Health.BindAddress = "0", "0"
		},
		"ports that the system chooses": func(c *managerv1alpha1.ControllerManagerConfiguration) {
			c.Metrics.BindAddress, c.Health.BindAddress = "127.0.0.1:0", "127.0.0.1:0"
		},
		"an election that is off needs no periods": func(c *managerv1alpha1.ControllerManagerConfiguration) {
			c.LeaderElection = managerv1alpha1.LeaderElection{LeaderElect: new(false)}
		},
		"all loops but one": func(c *managerv1alpha1.ControllerManagerConfiguration) {
			c.Controllers = []string{"*", "-storagehealth"}
		},
		"no node may be bad": func(c *managerv1alpha1.ControllerManagerConfiguration) {
			c.StorageHealth.MaxUnhealthyPercent = new(int32(0))
		},
		"the other policies": func(c *managerv1alpha1.ControllerManagerConfiguration) {
			f := &c.StorageHealth.Failover
			f.Mode, f.Default = managerv1alpha1.DryRun, managerv1alpha1.Disabled
			f.PDBPolicy, f.GangPolicy = managerv1alpha1.DeleteAfterDeadline, managerv1alpha1.MoveGang
		},
		"node plugins of two drivers": func(c *managerv1alpha1.ControllerManagerConfiguration) {
			other := nodePlugin()
			other.Provisioner = "csi.example.org"
			c.StorageHealth.Generic.NodePlugins = []managerv1alpha1.NodePlugin{nodePlugin(), other}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			if found := messages(change); len(found) > 0 {
				t.Errorf("errors: %q", found)
			}
		})
	}
}

func TestProcessSettingsThatAreWrong(t *testing.T) {
	tests := map[string]struct {
		change func(*managerv1alpha1.ControllerManagerConfiguration)
		want   []string
	}{
		"no limit of requests": {
			change: func(c *managerv1alpha1.ControllerManagerConfiguration) {
				c.ClientConnection.QPS, c.ClientConnection.Burst = -1, -1
			},
			want: []string{"clientConnection.qps: Invalid value: -1: must be at least 1", "clientConnection.burst: Invalid value: -1: must be at least 1"},
		},
		"a lease that runs out before it is renewed": {
			change: func(c *managerv1alpha1.ControllerManagerConfiguration) {
				c.LeaderElection.LeaseDuration = duration(10 * time.Second)
			},
			want: []string{`leaderElection.leaseDuration: Invalid value: "10s": must be longer than renewDeadline, which is 10s`},
		},
		"a deadline that leaves no second try": {
			change: func(c *managerv1alpha1.ControllerManagerConfiguration) {
				c.LeaderElection.RetryPeriod = duration(9 * time.Second)
			},
			want: []string{`leaderElection.renewDeadline: Invalid value: "10s": must be longer than 1.2 times retryPeriod, which is 9s`},
		},
		"a lease in a bad place": {
			change: func(c *managerv1alpha1.ControllerManagerConfiguration) {
				c.LeaderElection.ResourceNamespace, c.LeaderElection.ResourceName = "Roost", "a/b"
			},
			want: []string{`leaderElection.resourceNamespace: Invalid value: "Roost": `, `leaderElection.resourceName: Invalid value: "a/b": `},
		},
		"tries without a pause, for a lease of less than a second": {
			change: func(c *managerv1alpha1.ControllerManagerConfiguration) {
				c.LeaderElection.LeaseDuration, c.LeaderElection.RenewDeadline = duration(900*time.Millisecond), duration(800*time.Millisecond)
				c.LeaderElection.RetryPeriod = duration(time.Millisecond)
			},
			want: []string{
				`leaderElection.leaseDuration: Invalid value: "900ms": must be at least 1s`,
				`leaderElection.retryPeriod: Invalid value: "1ms": must be at least 100ms`,
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) { expect(t, tc.want, messages(tc.change)) })
	}
}

func TestEndpointsAndLoopsThatAreWrong(t *testing.T) {
	tests := map[string]struct {
		change func(*managerv1alpha1.ControllerManagerConfiguration)
		want   []string
	}{
		"addresses": {
			change: func(c *managerv1alpha1.ControllerManagerConfiguration) {
				c.Metrics.BindAddress, c.Health.BindAddress, c.Profiling.BindAddress = "8443", ":http", ":65536"
			},
			want: []string{
				`metrics.bindAddress: Invalid value: "8443": must be host:port, :port, or "0" for none`,
				`health.bindAddress: Invalid value: ":http": port must be 0 to 65535`,
				`profiling.bindAddress: Invalid value: ":65536": port must be 0 to 65535`,
			},
		},
		"one address for two": {
			change: func(c *managerv1alpha1.ControllerManagerConfiguration) {
				c.Profiling.BindAddress = c.Health.BindAddress
			},
			want: []string{`profiling.bindAddress: Duplicate value: ":8081"`},
		},
		"loops": {
			change: func(c *managerv1alpha1.ControllerManagerConfiguration) {
				c.Controllers = []string{"storage-health", "schedules", "-schedules", "-*"}
			},
			want: []string{
				`controllers[0]: Unsupported value: "storage-health": supported values: "*", "schedules", "-schedules", "storagehealth", "-storagehealth"`,
				`controllers[2]: Duplicate value: "-schedules"`,
				`controllers[3]: Unsupported value: "-*": `,
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) { expect(t, tc.want, messages(tc.change)) })
	}
}

// expect wants as many messages, each beginning as wanted.
func expect(t *testing.T, want, got []string) {
	t.Helper()
	cut := make([]string, len(got))
	for i := range got {
		cut[i] = got[i]
		if i < len(want) && strings.HasPrefix(got[i], want[i]) {
			cut[i] = want[i]
		}
	}
	if diff := cmp.Diff(want, cut); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}
