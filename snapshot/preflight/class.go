// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"roost.dev/roost/snapshot/groupapi"
)

// AnnotationDefaultClass is "true" on the VolumeSnapshotClass that is a CSI driver's default.
const AnnotationDefaultClass = "snapshot.storage.kubernetes.io/is-default-class"

const (
	fieldClass      = "spec.volumeSnapshotClassName"
	fieldGroupClass = "spec.volumeGroupSnapshotClassName"
)

// candidate is a class of either kind.
type candidate struct {
	name, driver string
	isDefault    bool
}

// class finds the VolumeSnapshotClass for a driver.
func (k *check) class(ctx context.Context, driver string) (verdict, error) {
	var list snapshotv1.VolumeSnapshotClassList
	if err := k.Memory.List(ctx, &list); meta.IsNoMatchError(err) {
		if !slices.ContainsFunc(k.problems, func(p Problem) bool { return p.Reason == ReasonCRDsMissing }) {
			return verdict{notServed: true}, k.notServed(err, "VolumeSnapshots")
		}
		return verdict{notServed: true}, nil
	} else if err != nil {
		return verdict{}, fmt.Errorf("listing VolumeSnapshotClasses: %w", err)
	}
	candidates := make([]candidate, 0, len(list.Items))
	for i := range list.Items {
		class := &list.Items[i]
		candidates = append(candidates, candidate{class.Name, class.Driver, class.Annotations[AnnotationDefaultClass] == "true"})
	}
	return choose(candidates, driver, fieldClass, k.snapshot.Spec.VolumeSnapshotClassName), nil
}

// group wants one driver, and finds its VolumeGroupSnapshotClass.
func (k *check) group(ctx context.Context) error {
	if !k.isGroup() {
		return nil
	}
	drivers := slices.Sorted(maps.Keys(Load(k.plan.Members)))
	if len(drivers) > 1 {
		k.problem(ReasonMixedDrivers, "mode Group: the claims are of the CSI drivers %s; a group has one driver", strings.Join(drivers, ", "))
		return nil
	}
	classes, err := k.groups.Classes(ctx)
	if meta.IsNoMatchError(err) {
		return k.notServed(err, "VolumeGroupSnapshots of "+groupapi.Group+"/v1 or v1beta2, which mode Group needs")
	}
	if err != nil {
		return fmt.Errorf("listing VolumeGroupSnapshotClasses: %w", err)
	}
	if len(drivers) == 0 {
		return nil
	}
	found := choose(groupCandidates(classes), drivers[0], fieldGroupClass, k.snapshot.Spec.VolumeGroupSnapshotClassName)
	if found.problem != "" {
		k.problem(ReasonNoClass, "mode Group: %s", found.problem)
	}
	k.plan.GroupClassName = found.class
	return nil
}

func groupCandidates(classes []groupsnapshotv1.VolumeGroupSnapshotClass) []candidate {
	candidates := make([]candidate, 0, len(classes))
	for i := range classes {
		class := &classes[i]
		candidates = append(candidates, candidate{class.Name, class.Driver, class.Annotations[groupapi.AnnotationDefaultClass] == "true"})
	}
	return candidates
}

// choose is the class that is named, or the only default one of the driver.
func choose(candidates []candidate, driver, field, named string) verdict {
	var ofDriver, defaults []string
	for _, c := range candidates {
		if c.name == named && named != "" {
			return ofOneDriver(c, driver, field)
		}
		if c.driver == driver {
			ofDriver = append(ofDriver, c.name)
			if c.isDefault {
				defaults = append(defaults, c.name)
			}
		}
	}
	switch {
	case named != "":
		return verdict{problem: fmt.Sprintf("%s: there is no class %q; of CSI driver %s there %s", field, named, driver, are(ofDriver))}
	case len(defaults) == 1:
		return verdict{class: defaults[0]}
	case len(defaults) == 0:
		return verdict{problem: fmt.Sprintf("%s is empty and CSI driver %s has no default class; there %s", field, driver, are(ofDriver))}
	default:
		return verdict{problem: fmt.Sprintf("%s is empty and CSI driver %s has %d default classes, not one: %s", field, driver, len(defaults), list(defaults))}
	}
}

func ofOneDriver(c candidate, driver, field string) verdict {
	if c.driver != driver {
		return verdict{problem: fmt.Sprintf("%s: class %q is of CSI driver %s, the claim of %s", field, c.name, c.driver, driver)}
	}
	return verdict{class: c.name}
}

func are(names []string) string {
	if len(names) == 0 {
		return "are no classes"
	}
	return "are " + list(names)
}

func list(names []string) string {
	return strings.Join(slices.Sorted(slices.Values(names)), ", ")
}
