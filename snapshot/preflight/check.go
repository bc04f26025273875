// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/snapshot/groupapi"
	"roost.dev/roost/snapshot/journal"
)

// MaxMembers is how many claims one snapshot has at most.
const MaxMembers = 100

// Options are what a Checker reads. Both are required.
type Options struct {
	// Client reads the API server: ResourceQuotas, VolumeGroupSnapshotClasses, and claims that Memory does not have.
	Client client.Client
	// Memory has claims, PersistentVolumes and VolumeSnapshotClasses.
	Memory client.Reader
}

// Checker looks at what a snapshot would take.
type Checker struct {
	Options
	groups *groupapi.Client
}

// New returns a Checker.
func New(options Options) (*Checker, error) {
	if options.Client == nil || options.Memory == nil {
		return nil, errors.New("a preflight needs a client and a memory")
	}
	return &Checker{Options: options, groups: groupapi.New(options.Client)}, nil
}

// Plan is what a snapshot would take.
type Plan struct {
	// Members are by name of the claim, in state Planned, or Failed where the mode allows for it.
	Members []snapshotv1alpha1.SnapshotMember
	// GroupClassName is the VolumeGroupSnapshotClass, in mode Group.
	GroupClassName string
	// LeftOut are claims that the selector takes, and that are left out.
	LeftOut []LeftOut
}

// LeftOut is a claim that is not there for a snapshot, and why.
type LeftOut struct {
	Claim  *corev1.PersistentVolumeClaim
	Reason string
}

// Load is how many snapshots each CSI driver would cut.
func Load(members []snapshotv1alpha1.SnapshotMember) map[string]int {
	load := map[string]int{}
	for i := range members {
		if members[i].State != snapshotv1alpha1.MemberFailed {
			load[members[i].Driver]++
		}
	}
	return load
}

// Check returns the plan of a snapshot. An error that is Problems is for people; any other is for another try.
func (c *Checker) Check(ctx context.Context, snapshot *snapshotv1alpha1.ApplicationSnapshot) (*Plan, error) {
	k := &check{Checker: c, snapshot: snapshot, classes: map[string]verdict{}}
	for _, step := range []func(context.Context) error{k.claims, k.members, k.group, k.quota} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	if len(k.problems) > 0 {
		return nil, k.problems
	}
	return &k.plan, nil
}

// check is one look.
type check struct {
	*Checker
	snapshot *snapshotv1alpha1.ApplicationSnapshot
	found    []*corev1.PersistentVolumeClaim
	missing  []string
	classes  map[string]verdict
	plan     Plan
	problems Problems
}

// verdict is the class of a driver, or why there is none.
type verdict struct {
	class, problem string
	// notServed is a problem of the whole, which is told once.
	notServed bool
}

func (k *check) problem(reason, format string, arguments ...any) {
	k.problems = append(k.problems, Problem{Reason: reason, Message: fmt.Sprintf(format, arguments...)})
}

func (k *check) bestEffort() bool { return k.snapshot.Spec.Mode == snapshotv1alpha1.ModeBestEffort }

func (k *check) isGroup() bool { return k.snapshot.Spec.Mode == snapshotv1alpha1.ModeGroup }

// claims finds the claims that are asked for.
func (k *check) claims(ctx context.Context) error {
	if k.snapshot.Spec.Selector == nil {
		return k.named(ctx)
	}
	selector, err := metav1.LabelSelectorAsSelector(k.snapshot.Spec.Selector)
	if err != nil {
		k.problem(ReasonInvalid, "spec.selector: %v", err)
		return nil
	}
	var list corev1.PersistentVolumeClaimList
	if err := k.Memory.List(ctx, &list, client.InNamespace(k.snapshot.Namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return fmt.Errorf("listing claims of %s: %w", k.snapshot.Namespace, err)
	}
	for i := range list.Items {
		claim, classes := &list.Items[i], k.snapshot.Spec.StorageClassNames
		if len(classes) == 0 || slices.Contains(classes, classOf(claim)) {
			k.found = append(k.found, claim)
		}
	}
	return nil
}

// named reads the claims that the spec names.
func (k *check) named(ctx context.Context) error {
	names := slices.Sorted(slices.Values(k.snapshot.Spec.ClaimNames))
	for _, name := range names {
		claim, key := &corev1.PersistentVolumeClaim{}, client.ObjectKey{Namespace: k.snapshot.Namespace, Name: name}
		err := k.Memory.Get(ctx, key, claim)
		if client.IgnoreNotFound(err) == nil && err != nil {
			// It may have been made this moment.
			err = k.Client.Get(ctx, key, claim)
		}
		switch {
		case err == nil:
			k.found = append(k.found, claim)
		case client.IgnoreNotFound(err) == nil:
			k.missing = append(k.missing, name)
		default:
			return fmt.Errorf("reading claim %s: %w", key, err)
		}
	}
	return nil
}

func (k *check) members(ctx context.Context) error {
	for _, name := range k.missing {
		k.failed(snapshotv1alpha1.SnapshotMember{ClaimName: name}, Problem{
			Reason: ReasonClaimNotFound, Message: fmt.Sprintf("spec.claimNames: claim %s does not exist in namespace %s", name, k.snapshot.Namespace),
		})
	}
	slices.SortFunc(k.found, func(a, b *corev1.PersistentVolumeClaim) int { return strings.Compare(a.Name, b.Name) })
	for _, claim := range k.found {
		if err := k.add(ctx, claim); err != nil {
			return err
		}
	}
	slices.SortFunc(k.plan.Members, func(a, b snapshotv1alpha1.SnapshotMember) int { return strings.Compare(a.ClaimName, b.ClaimName) })
	k.count()
	return nil
}

// count wants something to take, and not too much.
func (k *check) count() {
	switch n := len(k.plan.Members); {
	case n > MaxMembers:
		k.problem(ReasonTooManyClaims, "spec.selector takes %d claims; one snapshot has at most %d: narrow the selector or use storageClassNames", n, MaxMembers)
	case n == 0 && len(k.problems) == 0:
		k.problem(ReasonNoMatchingPVCs, "spec.selector %s takes no claim of namespace %s%s", metav1.FormatLabelSelector(k.snapshot.Spec.Selector), k.snapshot.Namespace, k.leftOut())
	case n > 0 && len(Load(k.plan.Members)) == 0:
		for i := range k.plan.Members {
			k.problem(ReasonNotSnapshottable, "%s", k.plan.Members[i].Message)
		}
	}
}

func (k *check) leftOut() string {
	text := ""
	if classes := k.snapshot.Spec.StorageClassNames; len(classes) > 0 {
		text = " with storageClassNames " + strings.Join(classes, ", ")
	}
	for i, left := range k.plan.LeftOut {
		if i == 0 {
			text += ", but these, which are left out"
		}
		text += ": " + left.Reason
	}
	return text
}

// failed is a claim that has no snapshot: a member that failed in mode BestEffort, else a problem of the whole.
func (k *check) failed(member snapshotv1alpha1.SnapshotMember, problem Problem) {
	if !k.bestEffort() {
		k.problems = append(k.problems, problem)
		return
	}
	member.State, member.Message = snapshotv1alpha1.MemberFailed, journal.Cut(problem.Message, maxMemberMessage)
	k.plan.Members = append(k.plan.Members, member)
}

// notServed is a problem where err says that the API server does not serve the kind, and the error else.
func (k *check) notServed(err error, kind string) error {
	if !meta.IsNoMatchError(err) {
		return err
	}
	k.problem(ReasonCRDsMissing, "the API server does not serve %s: install the CRDs and the snapshot-controller of external-snapshotter", kind)
	return nil
}
