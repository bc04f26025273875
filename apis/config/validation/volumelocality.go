// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"roost.dev/roost/apis/config"
)

const (
	maxTopologyTiers = 8

	// A node with the replica itself scores 100, and no tier may equal that.
	minTierWeight = 0
	maxTierWeight = 99
)

var (
	supportedPolicies = []config.LocalityPolicy{
		config.LocalityPreferred, config.LocalityRequired, config.LocalityAvoid, config.LocalityIgnored,
	}
	supportedWeightings = []config.VolumeWeighting{config.VolumeWeightingEqual, config.VolumeWeightingCapacity}
)

// ValidateVolumeLocalityArgs returns everything that is wrong with args; an empty list is none. path is where they stand in
// the configuration and may be nil.
func ValidateVolumeLocalityArgs(path *field.Path, args *config.VolumeLocalityArgs) field.ErrorList {
	errs := validateOneOf(path.Child("defaultPolicy"), args.DefaultPolicy, supportedPolicies)
	errs = append(errs, validateTopology(path.Child("topology"), args.Topology)...)
	return append(errs, validateOneOf(path.Child("volumeWeighting"), args.VolumeWeighting, supportedWeightings)...)
}

func validateOneOf[T ~string](path *field.Path, value T, supported []T) field.ErrorList {
	for _, s := range supported {
		if value == s {
			return nil
		}
	}
	return field.ErrorList{field.NotSupported(path, value, supported)}
}

func validateTopology(path *field.Path, tiers []config.TopologyTier) field.ErrorList {
	var errs field.ErrorList
	if len(tiers) > maxTopologyTiers {
		errs = append(errs, field.TooMany(path, len(tiers), maxTopologyTiers))
	}
	seen := sets.New[string]()
	for i, tier := range tiers {
		labelPath, weightPath := path.Index(i).Child("label"), path.Index(i).Child("weight")
		errs = append(errs, validateTierLabel(labelPath, tier.Label)...)
		if tier.Label != "" && seen.Has(tier.Label) {
			errs = append(errs, field.Duplicate(labelPath, tier.Label))
		}
		seen.Insert(tier.Label)
		errs = append(errs, validateTierWeight(weightPath, tier.Weight)...)
		if i > 0 && tier.Weight >= tiers[i-1].Weight {
			errs = append(errs, field.Invalid(weightPath, tier.Weight, fmt.Sprintf(
				"must be less than %d, the weight of the tier before it: nearer tiers come first and are worth more",
				tiers[i-1].Weight)))
		}
	}
	return errs
}

func validateTierLabel(path *field.Path, label string) field.ErrorList {
	if label == "" {
		return field.ErrorList{field.Required(path, "the key of a node label, for example "+corev1.LabelTopologyZone)}
	}
	if label == corev1.LabelHostname {
		return field.ErrorList{field.Invalid(path, label,
			"a node is already its own tier: a node with the replica itself scores 100")}
	}
	if msgs := validation.IsQualifiedName(label); len(msgs) > 0 {
		return field.ErrorList{field.Invalid(path, label, "not a label key: "+strings.Join(msgs, "; "))}
	}
	return nil
}

func validateTierWeight(path *field.Path, weight int32) field.ErrorList {
	if weight < minTierWeight || weight > maxTierWeight {
		return field.ErrorList{field.Invalid(path, weight, fmt.Sprintf("must be %d to %d", minTierWeight, maxTierWeight))}
	}
	return nil
}
