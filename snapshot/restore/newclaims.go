// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// NewClaims are the claims that a restore into new claims makes, by name. With errors there are none.
func NewClaims(spec *snapshotv1alpha1.NewClaims, snapshot *snapshotv1alpha1.ApplicationSnapshot) ([]snapshotv1alpha1.RestoredClaim, field.ErrorList) {
	p := planner{spec: spec, path: field.NewPath("spec", "newClaims"), members: map[string]*snapshotv1alpha1.SnapshotMember{}}
	for i := range snapshot.Status.Members {
		member := &snapshot.Status.Members[i]
		p.members[member.ClaimName] = member
	}
	p.named()
	p.others(snapshot.Status.Members)
	p.refuseTwoInOne()
	if len(p.errors) == 0 && len(p.claims) == 0 {
		p.errors = append(p.errors, field.Invalid(field.NewPath("spec", "source", "name"), snapshot.Name, "no member of this snapshot is ready"))
	}
	if len(p.errors) > 0 {
		return nil, p.errors
	}
	slices.SortFunc(p.claims, func(a, b snapshotv1alpha1.RestoredClaim) int { return strings.Compare(a.Name, b.Name) })
	return p.claims, nil
}

// planner collects claims, and all that is wrong with them.
type planner struct {
	spec    *snapshotv1alpha1.NewClaims
	path    *field.Path
	members map[string]*snapshotv1alpha1.SnapshotMember
	claims  []snapshotv1alpha1.RestoredClaim
	errors  field.ErrorList
}

// named plans the members that the spec names.
func (p *planner) named() {
	for i := range p.spec.Claims {
		asked, path := &p.spec.Claims[i], p.path.Child("claims").Index(i)
		member, ok := p.members[asked.From]
		switch {
		case !ok:
			p.errors = append(p.errors, field.NotSupported(path.Child("from"), asked.From, slices.Sorted(maps.Keys(p.members))))
		case member.State != snapshotv1alpha1.MemberReady:
			p.errors = append(p.errors, field.Invalid(path.Child("from"), asked.From, "has no snapshot that is ready: "+string(member.State)+" "+member.Message))
		default:
			p.plan(member, asked, path)
		}
	}
}

// others plans the members that the spec does not name, where it has a rule for their names. One without a snapshot, which
// BestEffort allows, is left out.
func (p *planner) others(members []snapshotv1alpha1.SnapshotMember) {
	if p.spec.Suffix == "" && p.spec.ReplaceName == nil {
		return
	}
	for i := range members {
		member := &members[i]
		if member.State != snapshotv1alpha1.MemberReady || p.isNamed(member.ClaimName) {
			continue
		}
		p.plan(member, &snapshotv1alpha1.NewClaim{From: member.ClaimName}, p.path)
	}
}

func (p *planner) isNamed(claim string) bool {
	return slices.ContainsFunc(p.spec.Claims, func(asked snapshotv1alpha1.NewClaim) bool { return asked.From == claim })
}

func (p *planner) plan(member *snapshotv1alpha1.SnapshotMember, asked *snapshotv1alpha1.NewClaim, path *field.Path) {
	name := p.nameOf(asked, path)
	size, ok := p.sizeOf(member, asked, path)
	if name == "" || !ok {
		return
	}
	p.claims = append(p.claims, snapshotv1alpha1.RestoredClaim{
		Name: name, From: member.ClaimName, VolumeSnapshotName: member.VolumeSnapshotName,
		Size: size, StorageClassName: cmp.Or(asked.StorageClassName, p.spec.StorageClassName, member.StorageClassName), State: snapshotv1alpha1.ClaimPlanned,
	})
}

// nameOf is the new claim's name, or empty where it has no valid one.
func (p *planner) nameOf(asked *snapshotv1alpha1.NewClaim, path *field.Path) string {
	name, from := asked.To, path.Child("to")
	switch {
	case name != "":
	case p.spec.Suffix != "":
		name, from = asked.From+p.spec.Suffix, p.path.Child("suffix")
	case p.spec.ReplaceName != nil:
		var ok bool
		name, ok = replaceName(asked.From, p.spec.ReplaceName)
		from = p.path.Child("replaceName", "statefulSet")
		if !ok {
			p.errors = append(p.errors, field.Invalid(from, p.spec.ReplaceName.StatefulSet,
				fmt.Sprintf("the claim %s is not one of this StatefulSet: those are called TEMPLATE-%s-ORDINAL", asked.From, p.spec.ReplaceName.StatefulSet)))
			return ""
		}
	default:
		p.errors = append(p.errors, field.Required(from, "neither suffix nor replaceName gives the claim a name"))
		return ""
	}
	if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
		p.errors = append(p.errors, field.Invalid(from, name, strings.Join(problems, "; ")))
		return ""
	}
	return name
}

// replaceName gives TEMPLATE-STATEFULSET-ORDINAL the name of another StatefulSet.
func replaceName(claim string, names *snapshotv1alpha1.ReplaceName) (string, bool) {
	dash := strings.LastIndex(claim, "-")
	if dash < 0 || dash == len(claim)-1 || strings.Trim(claim[dash+1:], "0123456789") != "" {
		return "", false
	}
	template, ok := strings.CutSuffix(claim[:dash], "-"+names.StatefulSet)
	if !ok || template == "" {
		return "", false
	}
	return template + "-" + names.With + claim[dash:], true
}

// sizeOf is the new claim's size, and false where what is asked for is too small.
func (p *planner) sizeOf(member *snapshotv1alpha1.SnapshotMember, asked *snapshotv1alpha1.NewClaim, path *field.Path) (resource.Quantity, bool) {
	least := leastSize(member)
	switch {
	case asked.Size == nil:
		return defaultSize(member), true
	case asked.Size.Sign() <= 0 || asked.Size.Cmp(least) < 0:
		p.errors = append(p.errors, field.Invalid(path.Child("size"), asked.Size.String(), "must be at least "+least.String()+", which the snapshot needs"))
		return resource.Quantity{}, false
	default:
		return *asked.Size, true
	}
}

// leastSize is what the storage system says that the snapshot needs. One that says nothing, or 0, gets what the claim had.
func leastSize(member *snapshotv1alpha1.SnapshotMember) resource.Quantity {
	switch {
	case member.RestoreSize != nil && member.RestoreSize.Sign() > 0:
		return *member.RestoreSize
	case member.Capacity != nil:
		return *member.Capacity
	default:
		return resource.Quantity{}
	}
}

// defaultSize is what the claim had, or what the snapshot needs if that is more.
func defaultSize(member *snapshotv1alpha1.SnapshotMember) resource.Quantity {
	least := leastSize(member)
	if member.Capacity != nil && member.Capacity.Cmp(least) > 0 {
		return *member.Capacity
	}
	return least
}

func (p *planner) refuseTwoInOne() {
	first := map[string]string{}
	for _, claim := range p.claims {
		if other, taken := first[claim.Name]; taken {
			p.errors = append(p.errors, field.Invalid(p.path, claim.Name, fmt.Sprintf("both %s and %s would be restored into this claim", other, claim.From)))
			continue
		}
		first[claim.Name] = claim.From
	}
}
