// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ControllerManagerConfiguration is the controller manager's configuration file.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type ControllerManagerConfiguration struct {
	metav1.TypeMeta `json:",inline"`

	// ClientConnection says how to reach the API server.
	ClientConnection ClientConnection `json:"clientConnection"`
	// LeaderElection keeps all managers but one idle.
	LeaderElection LeaderElection `json:"leaderElection"`
	// Metrics serves Prometheus metrics.
	Metrics Metrics `json:"metrics"`
	// Health serves /healthz and /readyz.
	Health Endpoint `json:"health"`
	// Profiling serves /debug/pprof. Off by default.
	Profiling Endpoint `json:"profiling"`
	// Controllers are the loops that run, in the syntax of kube-controller-manager: "*" is all, "name" one, "-name" not
	// that one. By default ["*"].
	Controllers []string `json:"controllers"`
	// StorageHealth configures verdicts and failover.
	StorageHealth StorageHealth `json:"storageHealth"`
	// Snapshots configures snapshots, their schedules and their restores.
	Snapshots Snapshots `json:"snapshots"`
}

// ClientConnection says how to reach the API server.
type ClientConnection struct {
	// Kubeconfig is the path of a kubeconfig. Empty is the service account of the pod.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	// QPS is how many requests a second are sent at most over a longer time. 100 by default.
	QPS float32 `json:"qps"`
	// Burst is how many requests may be sent at once. 200 by default.
	Burst int32 `json:"burst"`
}

// LeaderElection keeps all managers but one idle, by a Lease.
type LeaderElection struct {
	// LeaderElect switches it. On by default.
	LeaderElect *bool `json:"leaderElect"`
	// ResourceNamespace and ResourceName name the Lease. By default roost-system and roost-controller-manager.
	ResourceNamespace string `json:"resourceNamespace"`
	ResourceName      string `json:"resourceName"`
	// LeaseDuration is how long a leader that does not answer is waited for. 15s by default.
	LeaseDuration metav1.Duration `json:"leaseDuration"`
	// RenewDeadline is how long a leader tries to renew before it gives up. 10s by default.
	RenewDeadline metav1.Duration `json:"renewDeadline"`
	// RetryPeriod is how long to wait between tries. A manager that stands by waits up to 2.2 times as long, and that is
	// most of what a hand-over takes. 500ms by default.
	RetryPeriod metav1.Duration `json:"retryPeriod"`
}

// Endpoint is where something is served.
type Endpoint struct {
	// BindAddress is host:port, or :port for all addresses. "0" serves nothing. By default health is at :8081, metrics at
	// :8443, and profiling at none.
	BindAddress string `json:"bindAddress"`
}

// Metrics serves Prometheus metrics.
type Metrics struct {
	Endpoint `json:",inline"`
	// Secure serves them by TLS, to those who may get /metrics by RBAC. On by default.
	Secure *bool `json:"secure"`
}

// StorageHealth configures verdicts and failover.
type StorageHealth struct {
	// UnhealthyAfter is how long a storage system must be bad on a node until the node is Unhealthy. 10s by default.
	UnhealthyAfter metav1.Duration `json:"unhealthyAfter"`
	// BadReports is how many reports in a row must be bad as well, however long they took: a jump of the clock is no
	// reason to act. 3 by default.
	BadReports int32 `json:"badReports"`
	// HealthyAfter is how long it must be good again until the node is Healthy. 30s by default.
	HealthyAfter metav1.Duration `json:"healthyAfter"`
	// ReportPeriod is how often each node's report is looked at, besides when it changes. 2s by default.
	ReportPeriod metav1.Duration `json:"reportPeriod"`
	// MaxUnhealthyPercent is how many percent of a driver's nodes may be bad. With more, the storage system or our view
	// of it is broken and not the nodes, and no pod is moved. One node may always be bad. 33 by default.
	MaxUnhealthyPercent *int32 `json:"maxUnhealthyPercent"`
	// Failover says how pods are moved away from an Unhealthy node.
	Failover Failover `json:"failover"`
	// Generic configures the signals that tell of storage systems that say nothing themselves.
	Generic GenericSignals `json:"generic"`
}

// Mode says whether a failover acts.
type Mode string

const (
	// Enforce moves pods.
	Enforce Mode = "Enforce"
	// DryRun says in events and statuses what it would do, and does nothing.
	DryRun Mode = "DryRun"
)

// Default says what happens to pods without the annotation roost.dev/failover.
type Default string

const (
	// Enabled moves them.
	Enabled Default = "Enabled"
	// Disabled leaves them where they are.
	Disabled Default = "Disabled"
)

// PDBPolicy says what a PodDisruptionBudget that forbids an eviction means.
type PDBPolicy string

const (
	// Respect asks again until the budget allows it, for ever.
	Respect PDBPolicy = "Respect"
	// DeleteAfterDeadline deletes the pod, with its grace period, when the budget has forbidden it for pdbDeadline.
	DeleteAfterDeadline PDBPolicy = "DeleteAfterDeadline"
)

// GangPolicy says what happens when moving a pod would leave its PodGroup with fewer than minMember pods.
type GangPolicy string

const (
	// Wait leaves the pod where it is.
	Wait GangPolicy = "Wait"
	// MoveGang moves all pods of the group.
	MoveGang GangPolicy = "MoveGang"
)

// Failover says how pods are moved away from an Unhealthy node.
type Failover struct {
	// Mode is Enforce (default) or DryRun.
	Mode Mode `json:"mode"`
	// Default is for pods without the annotation roost.dev/failover: Enabled (default) or Disabled.
	Default Default `json:"default"`
	// PodsPerMinute is how many pods are moved in a minute at most, in the whole cluster. 120 by default.
	PodsPerMinute int32 `json:"podsPerMinute"`
	// GracePeriodCap is how long a pod may take to terminate, where its own grace period is longer. 30s by default.
	GracePeriodCap metav1.Duration `json:"gracePeriodCap"`
	// PDBPolicy is Respect (default) or DeleteAfterDeadline.
	PDBPolicy PDBPolicy `json:"pdbPolicy"`
	// PDBDeadline goes with DeleteAfterDeadline. 5m by default.
	PDBDeadline metav1.Duration `json:"pdbDeadline"`
	// GangPolicy is Wait (default) or MoveGang.
	GangPolicy GangPolicy `json:"gangPolicy"`
	// ArrivalGrace is how long a pod is left alone that came to the node when it was Unhealthy already, placed there by a
	// scheduler that does not know: moving it at once would go round in circles. 5m by default.
	ArrivalGrace metav1.Duration `json:"arrivalGrace"`
}

// GenericSignals configure how the health of storage on a node is told from Kubernetes' own objects.
type GenericSignals struct {
	// NodePlugins name the CSI node plugins' pods where they cannot be found by their registration path.
	// +listType=map
	// +listMapKey=provisioner
	NodePlugins []NodePlugin `json:"nodePlugins,omitempty"`
	// PluginNotReadyAfter is how long a node plugin's pod must not be ready until that counts: longer than the pod takes
	// to be replaced in a rolling update. 60s by default.
	PluginNotReadyAfter metav1.Duration `json:"pluginNotReadyAfter"`
	// BootGrace is how long after a node became Ready nothing counts that a node that boots does not have yet. 2m by default.
	BootGrace metav1.Duration `json:"bootGrace"`
	// LeaseStaleAfter is how long the lease of a node that is not Ready must not change until the node counts as gone. It counts
	// from when Roost sees that the node is not Ready and reads the lease: how old the lease was by then does not matter. 40s
	// by default.
	LeaseStaleAfter metav1.Duration `json:"leaseStaleAfter"`
	// AttachErrorsAfter is how long the attachments of a driver to a node must have failed until that counts. 60s by default.
	AttachErrorsAfter metav1.Duration `json:"attachErrorsAfter"`
}

// NodePlugin names the pods of a CSI driver's node plugin.
type NodePlugin struct {
	// Provisioner is the CSI driver's name.
	Provisioner string `json:"provisioner"`
	// Namespace is where its pods are.
	Namespace string `json:"namespace"`
	// Selector selects its pods, one a node.
	Selector metav1.LabelSelector `json:"selector"`
}
