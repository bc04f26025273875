// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package idle

import (
	"errors"
	"fmt"
	"time"

	"roost.dev/roost/internal/sandbox"
)

const (
	// replicas is how many each volume has.
	replicas = 3
	// maxPerNode is how many pods a node may have with as many volumes, and is within what sandbox.Nodes gives by default.
	maxPerNode = 64
)

// Options say how large the cluster is, and how long it is watched.
type Options struct {
	Nodes  int
	Claims int
	For    time.Duration
}

// DefaultOptions are those of the numbers in the documentation.
func DefaultOptions() Options {
	return Options{Nodes: 1000, Claims: 10000, For: 2 * time.Minute}
}

// SandboxNodes are those of the sandbox that the benchmark wants.
func (o Options) SandboxNodes() sandbox.Nodes { return sandbox.Nodes{Count: o.Nodes} }

// Validate reports everything that is wrong with the options.
func (o Options) Validate() error {
	var errs []error
	if o.Nodes < replicas || o.Nodes > 5000 {
		errs = append(errs, fmt.Errorf("--nodes is %d, must be between %d and 5000", o.Nodes, replicas))
	}
	if o.Claims < 1 || o.Claims > o.Nodes*maxPerNode {
		errs = append(errs, fmt.Errorf("--claims is %d, must be between 1 and %d: %d a node", o.Claims, o.Nodes*maxPerNode, maxPerNode))
	}
	// A watch of the API server lasts half an hour at least.
	if o.For < 10*time.Second || o.For > 20*time.Minute {
		errs = append(errs, fmt.Errorf("--for is %s, must be between 10s and 20m", o.For))
	}
	return errors.Join(errs...)
}
