// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"context"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/mirror"
)

// syncPoll is how soon it is noticed that everything is known at the start.
const syncPoll = 10 * time.Millisecond

// Options say what to watch.
type Options struct {
	// Client reads from the API server itself, not from a cache.
	Client mirror.Client
	// Clock stamps the moments.
	Clock clock.Clock
	// Namespace is that of the pods.
	Namespace string
}

// Recorder watches, and records the timelines of the failures that it follows. Its methods may be called from any goroutine.
type Recorder struct {
	clock  clock.Clock
	synced []func() bool
	runs   []func(context.Context)

	mu       sync.Mutex
	world    world
	followed map[*Followed]struct{}
}

// New returns a recorder that does not watch yet.
func New(opts Options) *Recorder {
	r := &Recorder{
		clock:    opts.Clock,
		followed: map[*Followed]struct{}{},
		world: world{
			pods:         map[string]*corev1.Pod{},
			attachments:  map[string]*storagev1.VolumeAttachment{},
			storageNodes: map[string]*storagev1alpha1.StorageNode{},
		},
	}
	api := namespaced{Client: opts.Client, namespace: client.InNamespace(opts.Namespace)}
	add(r, api, r.world.pods, func() *corev1.Pod { return &corev1.Pod{} }, &corev1.PodList{})
	add(r, api, r.world.attachments, func() *storagev1.VolumeAttachment { return &storagev1.VolumeAttachment{} }, &storagev1.VolumeAttachmentList{})
	add(r, api, r.world.storageNodes, func() *storagev1alpha1.StorageNode { return &storagev1alpha1.StorageNode{} }, &storagev1alpha1.StorageNodeList{})
	return r
}

// add has the objects of a kind kept in known, by their names: of namespaced kinds only one namespace is watched.
func add[O client.Object](r *Recorder, api mirror.Client, known map[string]O, newObject func() O, list client.ObjectList) {
	m := mirror.New(mirror.Options[O]{
		Kind: fmt.Sprintf("%T", newObject()), Client: api, Clock: r.clock,
		NewObject: newObject,
		NewList:   func() client.ObjectList { return list.DeepCopyObject().(client.ObjectList) },
		Put: func(_ klog.Logger, object O) {
			r.change(func() { known[object.GetName()] = object })
		},
		Remove: func(name string) {
			r.change(func() { delete(known, path.Base(name)) })
		},
		Names: func() []string {
			r.mu.Lock()
			defer r.mu.Unlock()
			var names []string
			for _, object := range known {
				names = append(names, cache.MetaObjectToName(object).String())
			}
			return names
		},
	})
	r.synced = append(r.synced, m.HasSynced)
	r.runs = append(r.runs, m.Run)
}

// Start watches until ctx ends. It returns when everything is known.
func (r *Recorder) Start(ctx context.Context) error {
	for _, run := range r.runs {
		go run(ctx)
	}
	err := wait.PollUntilContextCancel(ctx, syncPoll, true, func(context.Context) (bool, error) {
		return !slices.ContainsFunc(r.synced, func(synced func() bool) bool { return !synced() }), nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the watches: %w", err)
	}
	return nil
}

// change changes what is known and looks what that means.
func (r *Recorder) change(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
	for f := range r.followed {
		r.look(f)
	}
}

// State is the verdict on a driver's part on a node, empty where there is none.
func (r *Recorder) State(provisioner, node string) storagev1alpha1.HealthState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.world.state(provisioner, node)
}

// Follow follows a failure that is about to be caused. It is refused where the pod is not there with its volume attached, or
// the verdict has been given already: nothing could be said of when that happened.
func (r *Recorder) Follow(failure Failure) (*Followed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if pod := r.world.pods[failure.Pod]; pod == nil || pod.UID != failure.UID || pod.Spec.NodeName != failure.Node {
		return nil, fmt.Errorf("pod %s with UID %s is not on node %s", failure.Pod, failure.UID, failure.Node)
	}
	if !r.world.attached(failure.Volume, failure.Node) {
		return nil, fmt.Errorf("volume %s of pod %s is not attached to node %s", failure.Volume, failure.Pod, failure.Node)
	}
	if verdictGiven(&r.world, &failure) {
		return nil, fmt.Errorf("the storage of node %s has failed already", failure.Node)
	}
	f := &Followed{recorder: r, done: make(chan struct{}), timeline: Timeline{Failure: failure}}
	f.timeline.Stamps[Fault] = failure.At
	r.followed[f] = struct{}{}
	r.look(f)
	return f, nil
}

// look stamps what has come since the last look. The caller holds mu.
func (r *Recorder) look(f *Followed) {
	t := &f.timeline
	for m, happened := range conditions {
		if happened != nil && t.Stamps[m].IsZero() && happened(&r.world, &t.Failure) {
			t.Stamps[m] = r.clock.Now()
		}
	}
	if successor := r.world.successor(&t.Failure); successor != nil {
		t.NewNode = successor.Spec.NodeName
	}
	if !t.Stamps[Running].IsZero() {
		delete(r.followed, f)
		close(f.done)
	}
}

// Followed is a failure that is followed until a pod runs in the first one's place.
type Followed struct {
	recorder *Recorder
	done     chan struct{}
	timeline Timeline
}

// Timeline is what has happened until now.
func (f *Followed) Timeline() Timeline {
	f.recorder.mu.Lock()
	defer f.recorder.mu.Unlock()
	return f.timeline
}

// Wait waits until a pod runs in the first one's place, or ctx ends, and follows it no longer. It returns what happened.
func (f *Followed) Wait(ctx context.Context) Timeline {
	select {
	case <-f.done:
	case <-ctx.Done():
	}
	f.recorder.mu.Lock()
	defer f.recorder.mu.Unlock()
	delete(f.recorder.followed, f)
	return f.timeline
}

// namespaced asks for the objects of one namespace, of kinds that have one.
type namespaced struct {
	mirror.Client
	namespace client.InNamespace
}

// List implements mirror.Client.
func (n namespaced) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return n.Client.List(ctx, list, append(options, n.namespace)...)
}

// Watch implements mirror.Client.
func (n namespaced) Watch(ctx context.Context, list client.ObjectList, options ...client.ListOption) (watch.Interface, error) {
	return n.Client.Watch(ctx, list, append(options, n.namespace)...)
}
