// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
)

func TestStorageHealthThatIsWrong(t *testing.T) {
	tests := map[string]struct {
		change func(*managerv1alpha1.StorageHealth)
		want   []string
	}{
		"times of verdicts": {
			change: func(h *managerv1alpha1.StorageHealth) {
				h.UnhealthyAfter, h.HealthyAfter, h.ReportPeriod = duration(time.Millisecond), duration(-time.Second), duration(time.Microsecond)
			},
			want: []string{
				`storageHealth.unhealthyAfter: Invalid value: "1ms": must be at least 1s`,
				`storageHealth.healthyAfter: Invalid value: "-1s": must be at least 1s`,
				`storageHealth.reportPeriod: Invalid value: "1µs": must be at least 100ms`,
			},
		},
		"reports that are looked at too rarely": {
			change: func(h *managerv1alpha1.StorageHealth) { h.ReportPeriod = duration(time.Minute) },
			want:   []string{`storageHealth.reportPeriod: Invalid value: "1m0s": must not be longer than unhealthyAfter, which is 10s`},
		},
		"numbers": {
			change: func(h *managerv1alpha1.StorageHealth) {
				h.BadReports, h.MaxUnhealthyPercent, h.Failover.PodsPerMinute = -1, new(int32(101)), -5
			},
			want: []string{
				"storageHealth.badReports: Invalid value: -1: must be at least 1",
				"storageHealth.maxUnhealthyPercent: Invalid value: 101: must be 0 to 100",
				"storageHealth.failover.podsPerMinute: Invalid value: -5: must be at least 1",
			},
		},
		"a negative part of the nodes": {
			change: func(h *managerv1alpha1.StorageHealth) { h.MaxUnhealthyPercent = new(int32(-1)) },
			want:   []string{"storageHealth.maxUnhealthyPercent: Invalid value: -1: must be 0 to 100"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			expect(t, tc.want, messages(func(c *managerv1alpha1.ControllerManagerConfiguration) { tc.change(&c.StorageHealth) }))
		})
	}
}

func TestFailoverAndSignalsThatAreWrong(t *testing.T) {
	tests := map[string]struct {
		change func(*managerv1alpha1.StorageHealth)
		want   []string
	}{
		"words": {
			change: func(h *managerv1alpha1.StorageHealth) {
				h.Failover.Mode, h.Failover.Default, h.Failover.PDBPolicy, h.Failover.GangPolicy = "Dry", "Off", "Ignore", "Break"
			},
			want: []string{
				`storageHealth.failover.mode: Unsupported value: "Dry": supported values: "Enforce", "DryRun"`,
				`storageHealth.failover.default: Unsupported value: "Off": supported values: "Enabled", "Disabled"`,
				`storageHealth.failover.pdbPolicy: Unsupported value: "Ignore": supported values: "Respect", "DeleteAfterDeadline"`,
				`storageHealth.failover.gangPolicy: Unsupported value: "Break": supported values: "Wait", "MoveGang"`,
			},
		},
		// A grace period of less than a second would be sent as 0, which is by force.
		"times of a failover": {
			change: func(h *managerv1alpha1.StorageHealth) {
				h.Failover.GracePeriodCap, h.Failover.PDBDeadline, h.Failover.ArrivalGrace = duration(999*time.Millisecond), duration(-1), duration(-1)
			},
			want: []string{
				`storageHealth.failover.gracePeriodCap: Invalid value: "999ms": must be at least 1s`,
				`storageHealth.failover.pdbDeadline: Invalid value: "-1ns": must be at least 1s`,
				`storageHealth.failover.arrivalGrace: Invalid value: "-1ns": must be at least 1s`,
			},
		},
		"times of the generic signals": {
			change: func(h *managerv1alpha1.StorageHealth) {
				g := &h.Generic
				g.PluginNotReadyAfter, g.BootGrace, g.LeaseStaleAfter, g.AttachErrorsAfter = duration(-1), duration(-1), duration(-1), duration(-1)
			},
			want: []string{
				`storageHealth.generic.pluginNotReadyAfter: Invalid value: "-1ns": must be at least 1s`,
				`storageHealth.generic.bootGrace: Invalid value: "-1ns": must be at least 1s`,
				`storageHealth.generic.leaseStaleAfter: Invalid value: "-1ns": must be at least 1s`,
				`storageHealth.generic.attachErrorsAfter: Invalid value: "-1ns": must be at least 1s`,
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			expect(t, tc.want, messages(func(c *managerv1alpha1.ControllerManagerConfiguration) { tc.change(&c.StorageHealth) }))
		})
	}
}

func TestNodePluginsThatAreWrong(t *testing.T) {
	tests := map[string]struct {
		change func(*managerv1alpha1.NodePlugin)
		want   []string
	}{
		"nothing set": {
			change: func(p *managerv1alpha1.NodePlugin) { *p = managerv1alpha1.NodePlugin{} },
			want: []string{
				"storageHealth.generic.nodePlugins[1].provisioner: Required value: the CSI driver's name, for example csi.example.com",
				`storageHealth.generic.nodePlugins[1].namespace: Invalid value: "": `,
				"storageHealth.generic.nodePlugins[1].selector: Required value: an empty one would select every pod of the namespace",
			},
		},
		"a driver that is named twice": {
			change: func(p *managerv1alpha1.NodePlugin) { p.Provisioner = "csi.example.com" },
			want:   []string{`storageHealth.generic.nodePlugins[1].provisioner: Duplicate value: "csi.example.com"`},
		},
		"a driver's name that is too long": {
			change: func(p *managerv1alpha1.NodePlugin) { p.Provisioner = strings.Repeat("a", 64) },
			want:   []string{"storageHealth.generic.nodePlugins[1].provisioner: Too long: "},
		},
		"a selector that does not parse": {
			change: func(p *managerv1alpha1.NodePlugin) {
				p.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Is"}}
			},
			want: []string{`storageHealth.generic.nodePlugins[1].selector.matchExpressions[0].operator: Invalid value: "Is": `},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			expect(t, tc.want, messages(func(c *managerv1alpha1.ControllerManagerConfiguration) {
				plugin := nodePlugin()
				plugin.Provisioner = "csi.example.org"
				tc.change(&plugin)
				c.StorageHealth.Generic.NodePlugins = []managerv1alpha1.NodePlugin{nodePlugin(), plugin}
			}))
		})
	}
}
