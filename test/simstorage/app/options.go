// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Options are simstorage's settings.
type Options struct {
	Kubeconfig       string
	CSIAddress       string
	AdminAddress     string
	AdminAddressFile string
	DataDir          string
	PoolCapacity     string
	Heartbeat        time.Duration
}

// NewOptions returns the defaults.
func NewOptions() *Options {
	return &Options{AdminAddress: "127.0.0.1:0", PoolCapacity: "1Ti", Heartbeat: 20 * time.Second}
}

// AddFlags adds a flag for every setting.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Kubeconfig, "kubeconfig", o.Kubeconfig, "File that says how to reach the API server. Empty means from inside the cluster.")
	flags.StringVar(&o.CSIAddress, "csi-address", o.CSIAddress, "Path of the unix socket that the CSI services are served on. Required.")
	flags.StringVar(&o.AdminAddress, "admin-address", o.AdminAddress, "Loopback address of the admin API. Port 0 chooses a free one.")
	flags.StringVar(&o.AdminAddressFile, "admin-address-file", o.AdminAddressFile, "File that the admin API's address is written to while simstorage runs.")
	flags.StringVar(&o.DataDir, "data-dir", o.DataDir, "New directory for what volumes and snapshots hold. Empty means that they hold nothing. It is left behind.")
	flags.StringVar(&o.PoolCapacity, "pool-capacity", o.PoolCapacity, "Size of every storage node's pool, such as 500Gi.")
	flags.DurationVar(&o.Heartbeat, "heartbeat", o.Heartbeat, "Longest time between two heartbeats of a node's storage report, at most 1m.")
}

// poolBytes returns the size of a pool.
func (o *Options) poolBytes() (int64, error) {
	quantity, err := resource.ParseQuantity(o.PoolCapacity)
	if err != nil {
		return 0, fmt.Errorf("--pool-capacity: invalid value %q: must be a quantity of bytes such as 500Gi: %w", o.PoolCapacity, err)
	}
	return quantity.Value(), nil
}
