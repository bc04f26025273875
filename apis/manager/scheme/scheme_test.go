// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package scheme

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
)

const header = "apiVersion: manager.roost.dev/v1alpha1\nkind: ControllerManagerConfiguration\n"

func seconds(n int64) metav1.Duration {
	return metav1.Duration{Duration: time.Duration(n) * time.Second}
}

// defaults are written out, so that one that changes is seen here.
func defaults() *managerv1alpha1.ControllerManagerConfiguration {
	return &managerv1alpha1.ControllerManagerConfiguration{
		TypeMeta:         metav1.TypeMeta{APIVersion: "manager.roost.dev/v1alpha1", Kind: "ControllerManagerConfiguration"},
		ClientConnection: managerv1alpha1.ClientConnection{QPS: 100, Burst: 200},
		LeaderElection: managerv1alpha1.LeaderElection{
			LeaderElect:       new(true),
			ResourceNamespace: "roost-system",
			ResourceName:      "roost-controller-manager",
			LeaseDuration:     seconds(15),
			RenewDeadline:     seconds(10),
			RetryPeriod:       metav1.Duration{Duration: 500 * time.Millisecond},
		},
		Metrics:     managerv1alpha1.Metrics{Endpoint: managerv1alpha1.Endpoint{BindAddress: ":8443"}, Secure: new(true)},
		Health:      managerv1alpha1.Endpoint{BindAddress: ":8081"},
		Profiling:   managerv1alpha1.Endpoint{BindAddress: "0"},
		Controllers: []string{"*"},
		StorageHealth: managerv1alpha1.StorageHealth{
			UnhealthyAfter:      seconds(10),
			BadReports:          3,
			HealthyAfter:        seconds(30),
			ReportPeriod:        seconds(2),
			MaxUnhealthyPercent: new(int32(33)),
			Failover: managerv1alpha1.Failover{
				Mode:           managerv1alpha1.Enforce,
				Default:        managerv1alpha1.Enabled,
				PodsPerMinute:  120,
				GracePeriodCap: seconds(30),
				PDBPolicy:      managerv1alpha1.Respect,
				PDBDeadline:    seconds(300),
				GangPolicy:     managerv1alpha1.Wait,
				ArrivalGrace:   seconds(300),
			},
			Generic: managerv1alpha1.GenericSignals{
				PluginNotReadyAfter: seconds(60),
				BootGrace:           seconds(120),
				LeaseStaleAfter:     seconds(40),
				AttachErrorsAfter:   seconds(60),
			},
		},
		Snapshots: managerv1alpha1.Snapshots{
			QPS: 50, Burst: 100, Workers: 16,
			MaxSnapshots: managerv1alpha1.Concurrency{PerDriver: 10, PerNamespace: 10, Cluster: 50},
			MaxRestores:  managerv1alpha1.Concurrency{PerDriver: 4, PerNamespace: 4, Cluster: 20},
			OrphanPeriod: seconds(600),
		},
	}
}

func TestDecodeGivesTypedConfiguration(t *testing.T) {
	tests := map[string]struct {
		text string
		want func(*managerv1alpha1.ControllerManagerConfiguration)
	}{
		"nothing but the kind: the defaults": {
			want: func(*managerv1alpha1.ControllerManagerConfiguration) {},
		},
		"what was switched off or is 0 by intent stays so": {
			text: "leaderElection: {leaderElect: false}\nmetrics: {secure: false}\nstorageHealth: {maxUnhealthyPercent: 0}\n",
			want: func(c *managerv1alpha1.ControllerManagerConfiguration) {
				c.LeaderElection.LeaderElect, c.Metrics.Secure, c.StorageHealth.MaxUnhealthyPercent = new(false), new(false), new(int32(0))
			},
		},
		"a field deep down leaves its neighbours at their defaults": {
			text: "storageHealth: {failover: {gracePeriodCap: 1m30s}}\n",
			want: func(c *managerv1alpha1.ControllerManagerConfiguration) {
				c.StorageHealth.Failover.GracePeriodCap = seconds(90)
			},
		},
		"an address of metrics, which is an embedded field": {
			text: "metrics: {bindAddress: 127.0.0.1:9000}\n",
			want: func(c *managerv1alpha1.ControllerManagerConfiguration) { c.Metrics.BindAddress = "127.0.0.1:9000" },
		},
		"a node plugin": {
			text: "storageHealth: {generic: {nodePlugins: [{provisioner: csi.example.com, namespace: storage, selector: {matchLabels: {app: node}}}]}}\n",
			want: func(c *managerv1alpha1.ControllerManagerConfiguration) {
				c.StorageHealth.Generic.NodePlugins = []managerv1alpha1.NodePlugin{{
					Provisioner: "csi.example.com", Namespace: "storage",
					Selector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "node"}},
				}}
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Decode([]byte(header + tc.text))
			if err != nil {
				t.Fatal(err)
			}
			want := defaults()
			tc.want(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDefaultIsThatOfAnEmptyFile(t *testing.T) {
	if diff := cmp.Diff(defaults(), Default()); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"a field that does not exist":   {text: header + "storageHealth: {failover: {dryRun: true}}", want: `unknown field "storageHealth.failover.dryRun"`},
		"a field in the wrong case":     {text: header + "StorageHealth: {}", want: `unknown field "StorageHealth"`},
		"a field that stands twice":     {text: header + "health: {bindAddress: \":1\", bindAddress: \":2\"}", want: `key "bindAddress" already set`},
		"a duration without a unit":     {text: header + "storageHealth: {unhealthyAfter: 10}", want: "cannot unmarshal number"},
		"a duration that is none":       {text: header + "storageHealth: {unhealthyAfter: soon}", want: `invalid duration "soon"`},
		"a word where a number belongs": {text: header + "storageHealth: {badReports: three}", want: "storageHealth.badReports of type int32"},
		"the kind of another program":   {text: "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration", want: `it is a KubeSchedulerConfiguration of "kubescheduler.config.k8s.io/v1", want apiVersion: manager.roost.dev/v1alpha1`},
		"a version that does not exist": {text: "apiVersion: manager.roost.dev/v1\nkind: ControllerManagerConfiguration", want: `of "manager.roost.dev/v1", want apiVersion: manager.roost.dev/v1alpha1`},
		"no kind":                       {text: "apiVersion: manager.roost.dev/v1alpha1", want: "apiVersion or kind is missing"},
		"no version":                    {text: "kind: ControllerManagerConfiguration", want: "apiVersion or kind is missing"},
		"an empty file":                 {text: "", want: "apiVersion or kind is missing"},
		"what is no YAML":               {text: header + "health: [", want: "yaml"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Decode([]byte(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want one with %q", err, tc.want)
			}
		})
	}
}
