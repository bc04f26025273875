// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	"fmt"

	storagelisters "k8s.io/client-go/listers/storage/v1"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/storagehealth/candidates"
	"roost.dev/roost/storagehealth/verdict"
)

// Paused is the brake that an operator holds, by an annotation on the CSIDriver.
const Paused = "Paused"

// paused says whether the driver's CSIDriver object keeps its pods where they are.
func paused(csiDrivers storagelisters.CSIDriverLister, provisioner string) (verdict.Brake, bool) {
	driver, err := csiDrivers.Get(provisioner)
	if err != nil {
		return verdict.Brake{}, false
	}
	switch value, set := driver.Annotations[candidates.Annotation]; {
	case !set || value == string(managerv1alpha1.Enabled):
		return verdict.Brake{}, false
	case value == string(managerv1alpha1.Disabled):
		return verdict.Brake{Reason: Paused, Message: fmt.Sprintf(
			"paused: CSIDriver %s has the annotation %s=%s; remove it to go on", provisioner, candidates.Annotation, value)}, true
	default:
		return verdict.Brake{Reason: Paused, Message: fmt.Sprintf(
			"paused: CSIDriver %s has the annotation %s=%q, must be Enabled or Disabled", provisioner, candidates.Annotation, value)}, true
	}
}
