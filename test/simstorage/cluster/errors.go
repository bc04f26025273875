// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
)

// Reason says what kind of failure an Error is.
type Reason string

const (
	// Invalid is a request that can never succeed.
	Invalid Reason = "Invalid"
	// OutOfRange is a size that the request does not allow.
	OutOfRange Reason = "OutOfRange"
	// NotFound is a volume, snapshot, node or replica that does not exist.
	NotFound Reason = "NotFound"
	// Exists is a name that is taken by something different.
	Exists Reason = "Exists"
	// Exhausted is a lack of nodes or room.
	Exhausted Reason = "Exhausted"
	// Precondition is a state that forbids the request until something else happens.
	Precondition Reason = "Precondition"
	// Unavailable is a failure that can pass by itself, so that the caller should try again.
	Unavailable Reason = "Unavailable"
	// Internal is a failure of the storage system.
	Internal Reason = "Internal"
)

// Error is the only kind of error that the model returns.
type Error struct {
	Reason  Reason
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// ReasonOf returns the reason of an error of this package, and Internal for any other.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return Internal
}

func errorf(reason Reason, format string, args ...any) error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...)}
}
