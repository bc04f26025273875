// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/drivers"
	"roost.dev/roost/drivers/all"
	"roost.dev/roost/internal/mirror"
)

// StorageNode is what the scheduler needs to know of a StorageNode object. The zero value is that of no object.
type StorageNode struct {
	// Maintenance says that an operator wants no new pods there.
	Maintenance bool
	// State is the verdict, empty where there is none yet.
	State storagev1alpha1.HealthState
	// Storage is what the storage system says, as the controller manager heard it.
	Storage drivers.StorageState
}

// StorageNodes are the cluster's StorageNode objects in memory, shared by all plugins and profiles. Without the
// CustomResourceDefinition there are none.
type StorageNodes struct {
	firstSync time.Duration

	once sync.Once
	err  error

	// writing serialises the updates, and with them the calls of subscribers.
	writing     sync.Mutex
	subscribers []func(provisioner, node string)

	// reading is held for a look-up, or for the update of one object.
	reading sync.RWMutex
	keys    map[string]storageNodeKey
	byKey   map[storageNodeKey][]namedStorageNode
}

// storageNodeKey is a storage system's part on one node.
type storageNodeKey struct{ provisioner, node string }

// namedStorageNode is one object.
type namedStorageNode struct {
	name string
	StorageNode
}

// NewStorageNodes returns an empty memory. Start fills it.
func NewStorageNodes() *StorageNodes {
	return &StorageNodes{
		firstSync: defaultFirstSync,
		keys:      map[string]storageNodeKey{},
		byKey:     map[storageNodeKey][]namedStorageNode{},
	}
}

// Start follows the objects until ctx is done, and waits a while for the first list. Only the first call does anything.
func (s *StorageNodes) Start(ctx context.Context, handle fwk.Handle) error {
	s.once.Do(func() {
		apiClient, err := all.NewClient(handle.KubeConfig())
		if err != nil {
			s.err = fmt.Errorf("following StorageNodes: %w", err)
			return
		}
		s.Follow(ctx, apiClient, clock.RealClock{})
	})
	return s.err
}

// Follow is Start with a client.
func (s *StorageNodes) Follow(ctx context.Context, apiClient mirror.Client, clock clock.Clock) {
	objects := mirror.New(mirror.Options[*storagev1alpha1.StorageNode]{
		Kind: "StorageNode", Client: apiClient, Clock: clock,
		NewObject: func() *storagev1alpha1.StorageNode { return &storagev1alpha1.StorageNode{} },
		NewList:   func() client.ObjectList { return &storagev1alpha1.StorageNodeList{} },
		Put:       func(_ klog.Logger, object *storagev1alpha1.StorageNode) { s.put(object) },
		Remove:    s.remove,
		Names:     s.names,
	})
	go objects.Run(ctx)
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, s.firstSync, true,
		func(context.Context) (bool, error) { return objects.HasSynced(), nil })
	if err != nil {
		klog.FromContext(ctx).Info("Starting without the StorageNodes: they have not been listed yet", "waited", s.firstSync)
	}
}

// Subscribe has changed called after each change from then on, one at a time. changed must not block.
func (s *StorageNodes) Subscribe(changed func(provisioner, node string)) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.subscribers = append(s.subscribers, changed)
}

// Of returns what is known of the provisioner on the node. It allocates nothing. Where several objects name one node,
// each can ask for maintenance, and the verdict is of the first by name that has one.
func (s *StorageNodes) Of(provisioner, node string) StorageNode {
	s.reading.RLock()
	defer s.reading.RUnlock()
	return merge(s.byKey[storageNodeKey{provisioner: provisioner, node: node}])
}

func merge(objects []namedStorageNode) StorageNode {
	var merged StorageNode
	for i := range objects {
		o := &objects[i]
		merged.Maintenance = merged.Maintenance || o.Maintenance
		if merged.State == "" {
			merged.State, merged.Storage = o.State, o.Storage
		}
	}
	return merged
}

func (s *StorageNodes) put(object *storagev1alpha1.StorageNode) {
	key := storageNodeKey{provisioner: object.Spec.Provisioner, node: object.Spec.NodeName}
	s.update(object.Name, key, &namedStorageNode{name: object.Name, StorageNode: StorageNode{
		Maintenance: object.Spec.Maintenance,
		State:       object.Status.State,
		Storage:     drivers.StorageStateOf(object.Status.StorageState),
	}})
}

func (s *StorageNodes) remove(name string) {
	s.update(name, storageNodeKey{}, nil)
}

// update replaces the object of that name, which may have named another node before, or removes it where there is no new one.
func (s *StorageNodes) update(name string, key storageNodeKey, object *namedStorageNode) {
	s.writing.Lock()
	defer s.writing.Unlock()
	old, known := s.keys[name]
	before := map[storageNodeKey]StorageNode{}
	if known {
		before[old] = merge(s.byKey[old])
	}
	if object != nil {
		before[key] = merge(s.byKey[key])
	}
	s.reading.Lock()
	if known {
		s.unlink(old, name)
	}
	if object != nil {
		s.link(key, *object)
	}
	s.reading.Unlock()
	for key, was := range before {
		if merge(s.byKey[key]) == was {
			continue
		}
		for _, changed := range s.subscribers {
			changed(key.provisioner, key.node)
		}
	}
}

func (s *StorageNodes) link(key storageNodeKey, object namedStorageNode) {
	s.keys[object.name] = key
	objects := append(s.byKey[key], object)
	slices.SortFunc(objects, func(a, b namedStorageNode) int { return strings.Compare(a.name, b.name) })
	s.byKey[key] = objects
}

func (s *StorageNodes) unlink(key storageNodeKey, name string) {
	delete(s.keys, name)
	s.byKey[key] = slices.DeleteFunc(s.byKey[key], func(o namedStorageNode) bool { return o.name == name })
	if len(s.byKey[key]) == 0 {
		delete(s.byKey, key)
	}
}

func (s *StorageNodes) names() []string {
	s.reading.RLock()
	defer s.reading.RUnlock()
	return slices.Collect(maps.Keys(s.keys))
}
