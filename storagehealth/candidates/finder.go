// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package candidates

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/podvolumes"
)

// Storage is the drivers' registry, as far as it is needed here.
type Storage interface {
	// Locate says where a volume is.
	Locate(id drivers.VolumeID) drivers.Answer
	// NodeReport says how a storage system is on a node.
	NodeReport(provisioner, node string) drivers.NodeReport
}

var _ Storage = (*drivers.Registry)(nil)

// Options are what a Finder needs. All of it is required, but for ArrivalGrace and the two policies.
type Options struct {
	// Informers must not have been started.
	Informers informers.SharedInformerFactory
	// Storage answers from memory.
	Storage Storage
	// Usable is Roost's verdict: whether a node may take pods with volumes of the provisioner. It answers from memory.
	Usable func(provisioner, node string) bool
	// PodGroups reads from the API server. The cluster need not have PodGroups.
	PodGroups client.Reader
	// Default is for pods that no annotation speaks of. Everything but Disabled moves them.
	Default managerv1alpha1.Default
	// GangPolicy is what to do when a PodGroup would break. Everything but MoveGang waits.
	GangPolicy managerv1alpha1.GangPolicy
	// ArrivalGrace is how long a pod is left alone that came to the node after its storage had failed.
	ArrivalGrace time.Duration
	// Clock tells how long ago that was.
	Clock clock.PassiveClock
}

// The indices of the pods' informer.
const (
	byNode  = "roost.dev/pods-with-claims-by-node"
	byGroup = "roost.dev/pods-by-pod-group"
)

// Finder finds candidates. It is safe for concurrent use once the informers have synced.
type Finder struct {
	options  Options
	pods     cache.Indexer
	nodes    corelisters.NodeLister
	csiNodes storagelisters.CSINodeLister
	resolver *podvolumes.Resolver
}

// New registers the informers that the Finder reads, and its indices of pods.
func New(options Options) (*Finder, error) {
	if err := options.check(); err != nil {
		return nil, fmt.Errorf("making a finder of candidates: %w", err)
	}
	core, storage := options.Informers.Core().V1(), options.Informers.Storage().V1()
	pods := core.Pods().Informer()
	if err := pods.AddIndexers(cache.Indexers{byNode: nodeKeys, byGroup: groupKeys}); err != nil {
		return nil, fmt.Errorf("indexing pods: %w", err)
	}
	return &Finder{
		options:  options,
		pods:     pods.GetIndexer(),
		nodes:    core.Nodes().Lister(),
		csiNodes: storage.CSINodes().Lister(),
		resolver: &podvolumes.Resolver{
			Claims:  core.PersistentVolumeClaims().Lister(),
			PVs:     core.PersistentVolumes().Lister(),
			Classes: storage.StorageClasses().Lister(),
		},
	}, nil
}

func (o *Options) check() error {
	var errs []error
	for _, required := range []struct {
		name    string
		missing bool
	}{
		{"informers", o.Informers == nil},
		{"storage", o.Storage == nil},
		{"usable", o.Usable == nil},
		{"podGroups", o.PodGroups == nil},
		{"clock", o.Clock == nil},
	} {
		if required.missing {
			errs = append(errs, fmt.Errorf("%s is missing", required.name))
		}
	}
	return errors.Join(errs...)
}

// OnNode returns the pods on the node with at least one volume of the provisioner that are not finished, by namespace and
// name. failedSince is when the node became Unhealthy; zero is for a node that did not. An error is a failure of a
// lister or the end of ctx, never a state of the pods.
func (f *Finder) OnNode(ctx context.Context, provisioner, node string, failedSince time.Time) ([]Candidate, error) {
	gathered, err := f.gather(provisioner, node, failedSince)
	if err != nil {
		return nil, fmt.Errorf("finding the pods on node %q with volumes of %q: %w", node, provisioner, err)
	}
	found := make([]Candidate, len(gathered))
	for i, about := range gathered {
		found[i] = Candidate{Pod: about.pod, Volumes: about.resolved(), Refusal: judge(about, checks)}
	}
	if err := f.judgeGangs(ctx, node, failedSince, found); err != nil {
		return nil, fmt.Errorf("judging the PodGroups on node %q: %w", node, err)
	}
	return found, nil
}

// Judge says why a pod has to stay that was read after OnNode: from what is known now of its volumes' copies and of the other
// nodes, without a request. The group of the pod is not judged again. Of a pod that is on another node, or has no volume of
// the provisioner, only its own words count, as of a member of a gang.
func (f *Finder) Judge(provisioner, node string, failedSince time.Time, pod *corev1.Pod) (Refusal, error) {
	resolved, err := f.resolver.Resolve(pod)
	if err != nil {
		return Refusal{}, fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	about := f.factsOf(pod, resolved)
	if pod.Spec.NodeName != node || !uses(resolved, provisioner) {
		return judge(about, ownChecks), nil
	}
	about.provisioner, about.node, about.failedSince = provisioner, node, failedSince
	if about.others, err = f.otherNodes(node); err != nil {
		return Refusal{}, err
	}
	f.locate(about)
	return judge(about, checks), nil
}

// InUse counts the pods on the node that use volumes of the provisioner, and the volumes.
func (f *Finder) InUse(provisioner, node string) (pods, volumes int) {
	distinct := map[drivers.VolumeID]struct{}{}
	for _, pod := range f.withClaims(node) {
		resolved, err := f.resolver.Resolve(pod)
		if err != nil || !uses(resolved, provisioner) {
			continue // a lister in memory does not fail
		}
		pods++
		for i := range resolved {
			if resolved[i].ID.Provisioner == provisioner {
				distinct[resolved[i].ID] = struct{}{}
			}
		}
	}
	return pods, len(distinct)
}

// Sharing returns the pods on the node that use the PersistentVolume, also by a claim that has lost it. A pod whose volumes
// cannot be told counts.
func (f *Finder) Sharing(node, pvName string) []*corev1.Pod {
	var sharing []*corev1.Pod
	for _, pod := range f.withClaims(node) {
		resolved, err := f.resolver.Resolve(pod)
		if err != nil || slices.ContainsFunc(resolved, func(v podvolumes.Volume) bool {
			return v.Claim != nil && v.Claim.Spec.VolumeName == pvName
		}) {
			sharing = append(sharing, pod)
		}
	}
	slices.SortFunc(sharing, comparePods)
	return sharing
}

// withClaims returns the pods on the node that are not finished and have claims.
func (f *Finder) withClaims(node string) []*corev1.Pod { return f.indexed(byNode, node) }

func (f *Finder) indexed(index, key string) []*corev1.Pod {
	objects, _ := f.pods.ByIndex(index, key) // fails only for an index that is not there, and New made it
	pods := make([]*corev1.Pod, 0, len(objects))
	for _, object := range objects {
		pods = append(pods, object.(*corev1.Pod))
	}
	return pods
}

func nodeKeys(object any) ([]string, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok || pod.Spec.NodeName == "" || finished(pod) || !podvolumes.HasClaims(pod) {
		return nil, nil
	}
	return []string{pod.Spec.NodeName}, nil
}

func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// uses says whether any of the volumes is the provisioner's. One that has no PersistentVolume is its StorageClass's provisioner's.
func uses(volumes []podvolumes.Volume, provisioner string) bool {
	return slices.ContainsFunc(volumes, func(v podvolumes.Volume) bool {
		if v.Status == podvolumes.Bound {
			return v.ID.Provisioner == provisioner
		}
		return v.Class != nil && v.Class.Provisioner == provisioner
	})
}

func comparePods(a, b *corev1.Pod) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
