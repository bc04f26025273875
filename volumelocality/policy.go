// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import "fmt"

// PolicyAnnotation on a pod, a claim or a StorageClass sets the policy of its volumes, in this order of precedence.
const PolicyAnnotation = "roost.dev/locality"

// Policy says what the location of a volume's data means for its pods.
type Policy string

const (
	// Preferred tries data nodes first, then nearer nodes, then any.
	Preferred Policy = "Preferred"
	// Required allows only data nodes.
	Required Policy = "Required"
	// Avoid is the reverse of Preferred: the nearer to the data, the lower the score.
	Avoid Policy = "Avoid"
	// Ignored does not count the volume.
	Ignored Policy = "Ignored"
)

// BadPolicyError says that an annotation has a value that is no policy. The volume is then placed as Preferred.
type BadPolicyError struct {
	// Kind and Name say what carries the annotation.
	Kind, Name string
	// Value is what it says.
	Value string
}

// Error names the object, the annotation, its value and what is allowed.
func (e *BadPolicyError) Error() string {
	return fmt.Sprintf("%s %q: annotation %s: unsupported value %q: must be %s, %s, %s or %s; treated as %s",
		e.Kind, e.Name, PolicyAnnotation, shown(e.Value), Preferred, Required, Avoid, Ignored, Preferred)
}

// maxShownValue keeps a message short enough for an event, of which the API server refuses notes over 1 KiB.
const maxShownValue = 64

// shown is a value as messages quote it.
func shown(value string) string {
	if len(value) > maxShownValue {
		return value[:maxShownValue] + "..."
	}
	return value
}

// Annotated is an object that may carry our annotations.
type Annotated struct {
	// Kind and Name identify it in messages.
	Kind, Name string
	// Annotations are its annotations.
	Annotations map[string]string
}

// PolicyOf returns the policy of the first object that has the annotation, else the fallback. A value that is no policy is
// Preferred, with a BadPolicyError: it neither hides behind the next object's value nor keeps the pod from running.
func PolicyOf(fallback Policy, objects ...Annotated) (Policy, *BadPolicyError) {
	for _, o := range objects {
		value, ok := o.Annotations[PolicyAnnotation]
		if !ok {
			continue
		}
		switch policy := Policy(value); policy {
		case Preferred, Required, Avoid, Ignored:
			return policy, nil
		default:
			return Preferred, &BadPolicyError{Kind: o.Kind, Name: o.Name, Value: value}
		}
	}
	return fallback, nil
}
