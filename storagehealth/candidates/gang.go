// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	schedulingv1alpha1 "sigs.k8s.io/scheduler-plugins/apis/scheduling/v1alpha1"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
)

// gang is a PodGroup with candidates that could be moved.
type gang struct {
	name types.NamespacedName
	// moving are those candidates, by UID.
	moving map[types.UID]*Candidate
	// staying are the other candidates of the group, by UID.
	staying   map[types.UID]*Candidate
	minMember int
	// members are all its pods in the cluster that are not finished, by name.
	members []*corev1.Pod
}

// judgeGangs refuses, or completes, the candidates whose PodGroup would break if they were moved.
func (f *Finder) judgeGangs(ctx context.Context, node string, failedSince time.Time, found []Candidate) error {
	for _, gang := range gangs(found) {
		known, err := f.complete(ctx, gang)
		if err != nil {
			return err
		}
		if !known || gang.remaining() >= gang.minMember {
			continue
		}
		if f.options.GangPolicy != managerv1alpha1.MoveGang {
			gang.refuse(refuse(GangWouldBreak, "PodGroup %s needs %d running pods and would have %d; with gangPolicy Wait its pods on %s stay until more run elsewhere",
				gang.name.Name, gang.minMember, gang.remaining(), node))
			continue
		}
		if err := f.moveAll(gang, node, failedSince); err != nil {
			return err
		}
	}
	return nil
}

// gangs are the groups of the candidates that could be moved, in the order of the candidates.
func gangs(found []Candidate) []*gang {
	byName := map[types.NamespacedName]*gang{}
	var ordered []*gang
	for i := range found {
		name, ok := groupOf(found[i].Pod)
		if !ok {
			continue
		}
		g := byName[name]
		if g == nil {
			g = &gang{name: name, moving: map[types.UID]*Candidate{}, staying: map[types.UID]*Candidate{}}
			byName[name] = g
			ordered = append(ordered, g)
		}
		switch {
		case found[i].Pod.DeletionTimestamp != nil:
		case found[i].Movable():
			g.moving[found[i].Pod.UID] = &found[i]
		default:
			g.staying[found[i].Pod.UID] = &found[i]
		}
	}
	return slices.DeleteFunc(ordered, func(g *gang) bool { return len(g.moving) == 0 })
}

// complete reads the PodGroup and finds its pods. It is false where there is no such group, and where it could not be read;
// the candidates are refused then.
func (f *Finder) complete(ctx context.Context, g *gang) (bool, error) {
	var group schedulingv1alpha1.PodGroup
	err := f.options.PodGroups.Get(ctx, g.name, &group)
	switch {
	case err == nil:
		g.minMember = int(group.Spec.MinMember)
		g.members = f.indexed(byGroup, g.name.String())
		slices.SortFunc(g.members, comparePods)
		return true, nil
	case apierrors.IsNotFound(err) || meta.IsNoMatchError(err):
		return false, nil
	case ctx.Err() != nil:
		return false, fmt.Errorf("getting PodGroup %s: %w", g.name, err)
	default:
		// The error's words may differ each time, and the message must not.
		klog.FromContext(ctx).Error(err, "Could not read PodGroup", "podGroup", klog.KRef(g.name.Namespace, g.name.Name))
		g.refuse(refuse(GangUnknown, "PodGroup %s could not be read (%s), and will be read again; see the log of the controller manager",
			g.name.Name, reasonOf(err)))
		return false, nil
	}
}

func reasonOf(err error) string {
	if reason := apierrors.ReasonForError(err); reason != "" {
		return string(reason)
	}
	return "the API server did not answer"
}

// remaining is how many of the group would run if the candidates were moved and nothing else.
func (g *gang) remaining() int {
	running := 0
	for _, member := range g.members {
		if member.Status.Phase == corev1.PodRunning && member.DeletionTimestamp == nil && g.moving[member.UID] == nil {
			running++
		}
	}
	return running
}

// moveAll adds to the candidates the other pods of the group, or refuses them where one of those has to stay.
func (f *Finder) moveAll(g *gang, node string, failedSince time.Time) error {
	var rest []*corev1.Pod
	for _, member := range g.members {
		if !g.movesWith(member, node, failedSince) {
			continue
		}
		refusal, err := f.refusalOf(g, member)
		if err != nil {
			return err
		}
		if refusal.Reason != "" {
			g.refuse(refuse(GangWouldBreak, "PodGroup %s needs %d running pods and would have %d, and cannot be moved as a whole: pod %s has to stay: %s",
				g.name.Name, g.minMember, g.remaining(), member.Name, refusal.Message))
			return nil
		}
		rest = append(rest, member)
	}
	for uid, candidate := range g.moving {
		candidate.Gang = rest
		for other, beside := range g.moving {
			if other != uid {
				candidate.Beside = append(candidate.Beside, beside)
			}
		}
		slices.SortFunc(candidate.Beside, func(a, b *Candidate) int { return comparePods(a.Pod, b.Pod) })
	}
	return nil
}

// movesWith leaves out what has no node, what goes already, the candidates themselves, and what came to another node since the
// storage failed: that has been moved with the gang already.
func (g *gang) movesWith(member *corev1.Pod, node string, failedSince time.Time) bool {
	if member.Spec.NodeName == "" || member.DeletionTimestamp != nil || g.moving[member.UID] != nil {
		return false
	}
	movedAlready := !failedSince.IsZero() && arrival(member).After(failedSince)
	return member.Spec.NodeName == node || !movedAlready
}

// refusalOf says why a member has to stay. Its volumes do not matter on another node: it may come back to where they are.
func (f *Finder) refusalOf(g *gang, member *corev1.Pod) (Refusal, error) {
	if candidate := g.staying[member.UID]; candidate != nil {
		return candidate.Refusal, nil
	}
	resolved, err := f.resolver.Resolve(member)
	if err != nil {
		return Refusal{}, fmt.Errorf("pod %s/%s: %w", member.Namespace, member.Name, err)
	}
	return judge(f.factsOf(member, resolved), ownChecks), nil
}

func (g *gang) refuse(refusal Refusal) {
	for _, candidate := range g.moving {
		candidate.Refusal = refusal
	}
}

func groupOf(pod *corev1.Pod) (types.NamespacedName, bool) {
	name := pod.Labels[schedulingv1alpha1.PodGroupLabel]
	return types.NamespacedName{Namespace: pod.Namespace, Name: name}, name != ""
}

func groupKeys(object any) ([]string, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok || finished(pod) {
		return nil, nil
	}
	name, ok := groupOf(pod)
	if !ok {
		return nil, nil
	}
	return []string{name.String()}, nil
}
