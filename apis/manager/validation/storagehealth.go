// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"math"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
)

// maxProvisionerLength is the longest name that a CSI driver may have.
const maxProvisionerLength = 63

// bounded is a duration and the least that it may be.
type bounded struct {
	field string
	value metav1.Duration
	least time.Duration
}

func validateDurations(path *field.Path, durations ...bounded) field.ErrorList {
	var errs field.ErrorList
	for _, d := range durations {
		errs = append(errs, validateDuration(path.Child(d.field), d.value, d.least)...)
	}
	return errs
}

func validateStorageHealth(path *field.Path, config *managerv1alpha1.StorageHealth) field.ErrorList {
	errs := validateDurations(path,
		bounded{"unhealthyAfter", config.UnhealthyAfter, minDuration},
		bounded{"healthyAfter", config.HealthyAfter, minDuration},
		bounded{"reportPeriod", config.ReportPeriod, minPeriod})
	if config.ReportPeriod.Duration > config.UnhealthyAfter.Duration {
		errs = append(errs, field.Invalid(path.Child("reportPeriod"), config.ReportPeriod.Duration.String(),
			fmt.Sprintf("must not be longer than unhealthyAfter, which is %s", config.UnhealthyAfter.Duration)))
	}
	errs = append(errs, validateRange(path.Child("badReports"), config.BadReports, 1, math.MaxInt32)...)
	errs = append(errs, validateRange(path.Child("maxUnhealthyPercent"), *config.MaxUnhealthyPercent, 0, 100)...)
	errs = append(errs, validateFailover(path.Child("failover"), &config.Failover)...)
	return append(errs, validateGeneric(path.Child("generic"), &config.Generic)...)
}

func validateFailover(path *field.Path, config *managerv1alpha1.Failover) field.ErrorList {
	errs := validateOneOf(path.Child("mode"), config.Mode, managerv1alpha1.Enforce, managerv1alpha1.DryRun)
	errs = append(errs, validateOneOf(path.Child("default"), config.Default, managerv1alpha1.Enabled, managerv1alpha1.Disabled)...)
	errs = append(errs, validateOneOf(path.Child("pdbPolicy"), config.PDBPolicy,
		managerv1alpha1.Respect, managerv1alpha1.DeleteAfterDeadline)...)
	errs = append(errs, validateOneOf(path.Child("gangPolicy"), config.GangPolicy, managerv1alpha1.Wait, managerv1alpha1.MoveGang)...)
	errs = append(errs, validateRange(path.Child("podsPerMinute"), config.PodsPerMinute, 1, math.MaxInt32)...)
	return append(errs, validateDurations(path,
		bounded{"gracePeriodCap", config.GracePeriodCap, minDuration},
		bounded{"pdbDeadline", config.PDBDeadline, minDuration},
		bounded{"arrivalGrace", config.ArrivalGrace, minDuration})...)
}

func validateGeneric(path *field.Path, config *managerv1alpha1.GenericSignals) field.ErrorList {
	errs := validateDurations(path,
		bounded{"pluginNotReadyAfter", config.PluginNotReadyAfter, minDuration},
		bounded{"bootGrace", config.BootGrace, minDuration},
		bounded{"leaseStaleAfter", config.LeaseStaleAfter, minDuration},
		bounded{"attachErrorsAfter", config.AttachErrorsAfter, minDuration})
	seen := sets.New[string]()
	for i := range config.NodePlugins {
		plugin, pluginPath := &config.NodePlugins[i], path.Child("nodePlugins").Index(i)
		errs = append(errs, validateNodePlugin(pluginPath, plugin)...)
		if plugin.Provisioner != "" && seen.Has(plugin.Provisioner) {
			errs = append(errs, field.Duplicate(pluginPath.Child("provisioner"), plugin.Provisioner))
		}
		seen.Insert(plugin.Provisioner)
	}
	return errs
}

func validateNodePlugin(path *field.Path, plugin *managerv1alpha1.NodePlugin) field.ErrorList {
	var errs field.ErrorList
	switch provisioner := path.Child("provisioner"); {
	case plugin.Provisioner == "":
		errs = append(errs, field.Required(provisioner, "the CSI driver's name, for example csi.example.com"))
	case len(plugin.Provisioner) > maxProvisionerLength:
		errs = append(errs, field.TooLong(provisioner, plugin.Provisioner, maxProvisionerLength))
	}
	for _, msg := range validation.IsDNS1123Label(plugin.Namespace) {
		errs = append(errs, field.Invalid(path.Child("namespace"), plugin.Namespace, msg))
	}
	selector := path.Child("selector")
	if len(plugin.Selector.MatchLabels)+len(plugin.Selector.MatchExpressions) == 0 {
		return append(errs, field.Required(selector, "an empty one would select every pod of the namespace"))
	}
	return append(errs, metav1validation.ValidateLabelSelector(&plugin.Selector, metav1validation.LabelSelectorValidationOptions{}, selector)...)
}
