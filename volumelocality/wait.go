// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"fmt"
	"time"
)

const (
	// WaitAnnotation on a pod, a claim or a StorageClass says for how long a pod is held to its data nodes before it is
	// placed elsewhere. It counts for Preferred volumes, in the same order of precedence as PolicyAnnotation.
	WaitAnnotation = "roost.dev/locality-wait"
	// MaxWait is the longest that a pod may be held.
	MaxWait = 24 * time.Hour
)

// BadWaitError says that an annotation has a value that is no wait. The volume then has its pods wait for nothing.
type BadWaitError struct {
	// Kind and Name say what carries the annotation.
	Kind, Name string
	// Value is what it says.
	Value string
}

// Error names the object, the annotation, its value and what is allowed.
func (e *BadWaitError) Error() string {
	return fmt.Sprintf("%s %q: annotation %s: invalid value %q: must be a duration from 0s to 24h, for example 90s or 10m; the pod does not wait",
		e.Kind, e.Name, WaitAnnotation, shown(e.Value))
}

// WaitOf returns the wait of the first object that has the annotation, else none. A value that is no wait is none, with a
// BadWaitError: a pod that does not wait can be moved, one that waits by mistake does not run.
func WaitOf(objects ...Annotated) (time.Duration, *BadWaitError) {
	for _, o := range objects {
		value, ok := o.Annotations[WaitAnnotation]
		if !ok {
			continue
		}
		wait, err := time.ParseDuration(value)
		if err != nil || wait < 0 || wait > MaxWait {
			return 0, &BadWaitError{Kind: o.Kind, Name: o.Name, Value: value}
		}
		return wait, nil
	}
	return 0, nil
}
