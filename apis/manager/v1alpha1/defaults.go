// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SetDefaults_ControllerManagerConfiguration sets each field that was left out, but for those of its parts.
func SetDefaults_ControllerManagerConfiguration(obj *ControllerManagerConfiguration) {
	setDefault(&obj.Health.BindAddress, ":8081")
	setDefault(&obj.Metrics.BindAddress, ":8443")
	setDefault(&obj.Profiling.BindAddress, "0")
	if obj.Metrics.Secure == nil {
		obj.Metrics.Secure = new(true)
	}
	if len(obj.Controllers) == 0 {
		obj.Controllers = []string{"*"}
	}
}

// SetDefaults_ClientConnection sets each field that was left out.
func SetDefaults_ClientConnection(obj *ClientConnection) {
	setDefault(&obj.QPS, 100)
	setDefault(&obj.Burst, 200)
}

// SetDefaults_LeaderElection sets each field that was left out.
func SetDefaults_LeaderElection(obj *LeaderElection) {
	if obj.LeaderElect == nil {
		obj.LeaderElect = new(true)
	}
	setDefault(&obj.ResourceNamespace, "roost-system")
	setDefault(&obj.ResourceName, "roost-controller-manager")
	setDefault(&obj.LeaseDuration, seconds(15))
	setDefault(&obj.RenewDeadline, seconds(10))
	setDefault(&obj.RetryPeriod, metav1.Duration{Duration: 500 * time.Millisecond})
}

// SetDefaults_StorageHealth sets each field that was left out, but for those of its parts.
func SetDefaults_StorageHealth(obj *StorageHealth) {
	setDefault(&obj.UnhealthyAfter, seconds(10))
	setDefault(&obj.BadReports, 3)
	setDefault(&obj.HealthyAfter, seconds(30))
	setDefault(&obj.ReportPeriod, seconds(2))
	if obj.MaxUnhealthyPercent == nil {
		obj.MaxUnhealthyPercent = new(int32(33))
	}
}

// SetDefaults_Failover sets each field that was left out.
func SetDefaults_Failover(obj *Failover) {
	setDefault(&obj.Mode, Enforce)
	setDefault(&obj.Default, Enabled)
	setDefault(&obj.PodsPerMinute, 120)
	setDefault(&obj.GracePeriodCap, seconds(30))
	setDefault(&obj.PDBPolicy, Respect)
	setDefault(&obj.PDBDeadline, seconds(300))
	setDefault(&obj.GangPolicy, Wait)
	setDefault(&obj.ArrivalGrace, seconds(300))
}

// SetDefaults_GenericSignals sets each field that was left out.
func SetDefaults_GenericSignals(obj *GenericSignals) {
	setDefault(&obj.PluginNotReadyAfter, seconds(60))
	setDefault(&obj.BootGrace, seconds(120))
	setDefault(&obj.LeaseStaleAfter, seconds(40))
	setDefault(&obj.AttachErrorsAfter, seconds(60))
}

// SetDefaults_Snapshots sets each field that was left out.
func SetDefaults_Snapshots(obj *Snapshots) {
	setDefault(&obj.QPS, 50)
	setDefault(&obj.Burst, 100)
	setDefault(&obj.Workers, 16)
	setDefault(&obj.MaxSnapshots.PerDriver, 10)
	setDefault(&obj.MaxSnapshots.PerNamespace, 10)
	setDefault(&obj.MaxSnapshots.Cluster, 50)
	setDefault(&obj.MaxRestores.PerDriver, 4)
	setDefault(&obj.MaxRestores.PerNamespace, 4)
	setDefault(&obj.MaxRestores.Cluster, 20)
	setDefault(&obj.OrphanPeriod, seconds(600))
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func seconds(n int64) metav1.Duration {
	return metav1.Duration{Duration: time.Duration(n) * time.Second}
}
