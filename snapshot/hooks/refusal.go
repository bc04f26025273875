// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import "fmt"

// Refusal is why hooks cannot run as things are: for the user to read. Any other error is the API server's, or the network's.
type Refusal struct {
	// Err is what to read.
	Err error
}

// Error implements error.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap implements errors.Unwrap.
func (r *Refusal) Unwrap() error { return r.Err }

func refusef(format string, arguments ...any) error {
	return &Refusal{Err: fmt.Errorf(format, arguments...)}
}
