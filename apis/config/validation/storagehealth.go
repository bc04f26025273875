// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"roost.dev/roost/apis/config"
)

// A node has 100 points to lose.
const (
	minPenalty = 0
	maxPenalty = 100
)

// ValidateStorageHealthArgs returns everything that is wrong with args; an empty list is none. path is where they stand in
// the configuration and may be nil.
func ValidateStorageHealthArgs(path *field.Path, args *config.StorageHealthArgs) field.ErrorList {
	errs := validatePenalty(path.Child("degradedPenalty"), args.DegradedPenalty)
	errs = append(errs, validatePenalty(path.Child("storageDownPenalty"), args.StorageDownPenalty)...)
	return append(errs, validatePenalty(path.Child("suspectPenalty"), args.SuspectPenalty)...)
}

func validatePenalty(path *field.Path, penalty int32) field.ErrorList {
	if penalty < minPenalty || penalty > maxPenalty {
		return field.ErrorList{field.Invalid(path, penalty, fmt.Sprintf("must be %d to %d", minPenalty, maxPenalty))}
	}
	return nil
}
