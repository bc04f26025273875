// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package tick

import (
	"errors"
	"fmt"
	"net"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"

	"roost.dev/roost/internal/sandbox"
)

const (
	// nodeCount is enough for two replicas of each volume.
	nodeCount = 3
	// maxPerNamespace is what a namespace may have to its name, which has three digits.
	maxPerNamespace = 1000
	// maxNamespaces keeps the namespaces' names as long as each other.
	maxNamespaces = 1000
)

// Options say how many snapshots are due, and how they are spread.
type Options struct {
	// Claims is how many there are, each with a schedule and a snapshot.
	Claims int
	// Namespaces is how many the claims are in, as evenly as may be.
	Namespaces int
	// Jitter is that of all schedules.
	Jitter time.Duration
	// QPS is the manager's snapshots.qps. Its burst is twice that, as by default.
	QPS int
	// Profiling is where the manager serves its profiles, host:port, or "0" for nowhere.
	Profiling string
}

// DefaultOptions are those of the numbers in the documentation.
func DefaultOptions() Options {
	return Options{Claims: 5000, Namespaces: 50, QPS: 50, Profiling: "0"}
}

// SandboxNodes are those of the sandbox that the benchmark wants.
func (o Options) SandboxNodes() sandbox.Nodes { return sandbox.Nodes{Count: nodeCount} }

// Without are the parts of the sandbox that have nothing to do here. Our controller manager is started later, with something
// in between that counts.
func Without() sets.Set[sandbox.Component] {
	return sets.New(sandbox.StockScheduler, sandbox.RoostScheduler, sandbox.RoostManager)
}

// Validate reports everything that is wrong with the options.
func (o Options) Validate() error {
	var errs []error
	if o.Namespaces < 1 || o.Namespaces > maxNamespaces {
		errs = append(errs, fmt.Errorf("--namespaces is %d, must be between 1 and %d", o.Namespaces, maxNamespaces))
	}
	if most := o.Namespaces * maxPerNamespace; o.Claims < 1 || o.Claims > most {
		errs = append(errs, fmt.Errorf("--claims is %d, must be between 1 and %d: %d a namespace", o.Claims, most, maxPerNamespace))
	}
	if o.Jitter < 0 || o.Jitter > time.Hour {
		errs = append(errs, fmt.Errorf("--jitter is %s, must be between 0s and 1h", o.Jitter))
	}
	if o.QPS < 1 || o.QPS > 1000 {
		errs = append(errs, fmt.Errorf("--qps is %d, must be between 1 and 1000", o.QPS))
	}
	if o.Profiling != "0" {
		if _, _, err := net.SplitHostPort(o.Profiling); err != nil {
			errs = append(errs, fmt.Errorf("--profiling is %q, must be host:port or 0: %w", o.Profiling, err))
		}
	}
	return errors.Join(errs...)
}
