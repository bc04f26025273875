// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"time"

	"roost.dev/roost/internal/sandbox"
)

// Options say how many failures of each kind to cause. Of a kind with none, nothing is measured.
type Options struct {
	// Offline are live nodes whose storage goes offline.
	Offline int
	// Dead are nodes that die, from all of whose volumes the storage system fences them.
	Dead int
	// Unproven are nodes that die with a volume that they are not fenced from, beside the pod's own.
	Unproven int
	// Alone are failures of both kinds under Kubernetes alone, each as many.
	Alone int
	// AloneFor is how long Kubernetes alone is watched.
	AloneFor time.Duration
	// Seed is what chance follows from.
	Seed uint64
}

// DefaultOptions are those of the numbers in the documentation.
func DefaultOptions() Options {
	return Options{Offline: 50, Dead: 8, Unproven: 4, Alone: 4, AloneFor: 15 * time.Minute, Seed: 1}
}

// Nodes are those of the sandbox that the benchmark wants.
func Nodes() sandbox.Nodes { return sandbox.Nodes{Count: 100, Zones: 4, Racks: 20} }

// Validate reports everything that is wrong with the options.
func (o Options) Validate() error {
	var errs []error
	for _, count := range []struct {
		flag  string
		value int
	}{{"offline", o.Offline}, {"dead", o.Dead}, {"unproven", o.Unproven}, {"alone", o.Alone}} {
		if count.value < 0 || count.value > 1000 {
			errs = append(errs, fmt.Errorf("--%s is %d, must be between 0 and 1000", count.flag, count.value))
		}
	}
	if o.AloneFor < time.Second || o.AloneFor > time.Hour {
		errs = append(errs, fmt.Errorf("--alone-for is %s, must be between 1s and 1h", o.AloneFor))
	}
	if o.Alone > stockPods/3 {
		errs = append(errs, fmt.Errorf("--alone is %d, must be at most %d: twice as many nodes fail at once", o.Alone, stockPods/3))
	}
	return errors.Join(errs...)
}
