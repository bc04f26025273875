// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"math"

	"k8s.io/apimachinery/pkg/util/validation/field"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
)

// maxWorkers keeps a mistyped number from becoming so many goroutines.
const maxWorkers = 1000

func validateSnapshots(path *field.Path, config *managerv1alpha1.Snapshots) field.ErrorList {
	var errs field.ErrorList
	if config.QPS < 1 {
		errs = append(errs, field.Invalid(path.Child("qps"), config.QPS, "must be at least 1"))
	}
	errs = append(errs, validateRange(path.Child("burst"), config.Burst, 1, math.MaxInt32)...)
	errs = append(errs, validateRange(path.Child("workers"), config.Workers, 1, maxWorkers)...)
	errs = append(errs, validateConcurrency(path.Child("maxSnapshots"), &config.MaxSnapshots)...)
	errs = append(errs, validateConcurrency(path.Child("maxRestores"), &config.MaxRestores)...)
	return append(errs, validateDuration(path.Child("orphanPeriod"), config.OrphanPeriod, minDuration)...)
}

// validateConcurrency refuses what would let nothing through.
func validateConcurrency(path *field.Path, config *managerv1alpha1.Concurrency) field.ErrorList {
	errs := validateRange(path.Child("perDriver"), config.PerDriver, 1, math.MaxInt32)
	errs = append(errs, validateRange(path.Child("perNamespace"), config.PerNamespace, 1, math.MaxInt32)...)
	return append(errs, validateRange(path.Child("cluster"), config.Cluster, 1, math.MaxInt32)...)
}
