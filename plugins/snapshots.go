// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package plugins

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/mirror"
)

// Snapshots say which volume a VolumeSnapshot was taken of. They are a memory that is shared by all plugins and profiles; without
// the CustomResourceDefinitions of CSI snapshots it is empty. It holds names and handles, not objects.
type Snapshots struct {
	firstSync time.Duration

	once sync.Once
	err  error

	mu sync.RWMutex
	// contents are the names of the VolumeSnapshotContents that VolumeSnapshots are bound to, by namespace/name.
	contents map[string]string
	// cuts are what the VolumeSnapshotContents are of, by name.
	cuts map[string]cut
	// origins are the volumes of snapshots of which a content names the volume, and how many contents do.
	origins map[snapshotID]origin
}

// snapshotID identifies a snapshot to its CSI driver.
type snapshotID struct{ driver, handle string }

// cut is what a VolumeSnapshotContent is of. The volume is empty where the content was made for a snapshot that was there.
type cut struct {
	snapshotID
	volume string
}

type origin struct {
	volume   string
	contents int
}

// NewSnapshots returns an empty memory. Start fills it.
func NewSnapshots() *Snapshots {
	return &Snapshots{firstSync: defaultFirstSync, contents: map[string]string{}, cuts: map[string]cut{}, origins: map[snapshotID]origin{}}
}

// Start follows the objects until ctx is done, and waits a while for the first list. Only the first call does anything.
func (s *Snapshots) Start(ctx context.Context, handle fwk.Handle) error {
	s.once.Do(func() {
		apiClient, err := newSnapshotClient(handle.KubeConfig())
		if err != nil {
			s.err = fmt.Errorf("following VolumeSnapshots: %w", err)
			return
		}
		s.Follow(ctx, apiClient, clock.RealClock{})
	})
	return s.err
}

// newSnapshotClient returns a client that reads the API server itself. Like the drivers' it asks for JSON, and is told the
// kinds instead of asking for them.
func newSnapshotClient(config *rest.Config) (client.WithWatch, error) {
	config = rest.CopyConfig(config)
	config.ContentType, config.AcceptContentTypes = "", ""
	scheme := runtime.NewScheme()
	if err := snapshotv1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering the kinds of %s: %w", snapshotv1.SchemeGroupVersion, err)
	}
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{snapshotv1.SchemeGroupVersion})
	mapper.Add(snapshotv1.SchemeGroupVersion.WithKind("VolumeSnapshot"), meta.RESTScopeNamespace)
	mapper.Add(snapshotv1.SchemeGroupVersion.WithKind("VolumeSnapshotContent"), meta.RESTScopeRoot)
	apiClient, err := client.NewWithWatch(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", snapshotv1.SchemeGroupVersion, err)
	}
	return apiClient, nil
}

// Follow is Start with a client.
func (s *Snapshots) Follow(ctx context.Context, apiClient mirror.Client, clock clock.Clock) {
	snapshots := mirror.New(mirror.Options[*snapshotv1.VolumeSnapshot]{
		Kind: "VolumeSnapshot", Client: apiClient, Clock: clock,
		NewObject: func() *snapshotv1.VolumeSnapshot { return &snapshotv1.VolumeSnapshot{} },
		NewList:   func() client.ObjectList { return &snapshotv1.VolumeSnapshotList{} },
		Put:       func(_ klog.Logger, object *snapshotv1.VolumeSnapshot) { s.putSnapshot(object) },
		Remove:    s.removeSnapshot,
		Names:     func() []string { return keysOf(s, s.contents) },
	})
	contents := mirror.New(mirror.Options[*snapshotv1.VolumeSnapshotContent]{
		Kind: "VolumeSnapshotContent", Client: apiClient, Clock: clock,
		NewObject: func() *snapshotv1.VolumeSnapshotContent { return &snapshotv1.VolumeSnapshotContent{} },
		NewList:   func() client.ObjectList { return &snapshotv1.VolumeSnapshotContentList{} },
		Put:       func(_ klog.Logger, object *snapshotv1.VolumeSnapshotContent) { s.putContent(object) },
		Remove:    s.removeContent,
		Names:     func() []string { return keysOf(s, s.cuts) },
	})
	go snapshots.Run(ctx)
	go contents.Run(ctx)
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, s.firstSync, true,
		func(context.Context) (bool, error) { return snapshots.HasSynced() && contents.HasSynced(), nil })
	if err != nil {
		klog.FromContext(ctx).Info("Starting without the VolumeSnapshots: they have not been listed yet", "waited", s.firstSync)
	}
}

// VolumeOf returns the volume that the VolumeSnapshot was taken of, whether it still exists or not. It is false where that is
// not known: there is no such snapshot, it is not bound, or it was brought in from elsewhere.
func (s *Snapshots) VolumeOf(namespace, name string) (drivers.VolumeID, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	of, ok := s.cuts[s.contents[namespace+"/"+name]]
	if !ok {
		return drivers.VolumeID{}, false
	}
	volume := of.volume
	if volume == "" {
		// It was made for a snapshot that another content has, as for a restore into another namespace.
		volume = s.origins[of.snapshotID].volume
	}
	return drivers.VolumeID{Provisioner: of.driver, Handle: volume}, volume != ""
}

func (s *Snapshots) putSnapshot(object *snapshotv1.VolumeSnapshot) {
	name := object.Namespace + "/" + object.Name
	s.mu.Lock()
	defer s.mu.Unlock()
	s.contents[name] = ""
	if object.Status != nil && object.Status.BoundVolumeSnapshotContentName != nil {
		s.contents[name] = *object.Status.BoundVolumeSnapshotContentName
	}
}

func (s *Snapshots) removeSnapshot(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.contents, name)
}

func (s *Snapshots) putContent(object *snapshotv1.VolumeSnapshotContent) {
	of := cut{snapshotID: snapshotID{driver: object.Spec.Driver}}
	if object.Spec.Source.VolumeHandle != nil {
		of.volume = *object.Spec.Source.VolumeHandle
	}
	switch {
	case object.Spec.Source.SnapshotHandle != nil:
		of.handle = *object.Spec.Source.SnapshotHandle
	case object.Status != nil && object.Status.SnapshotHandle != nil:
		of.handle = *object.Status.SnapshotHandle
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlink(object.Name)
	s.cuts[object.Name] = of
	if of.volume != "" && of.handle != "" {
		s.origins[of.snapshotID] = origin{volume: of.volume, contents: s.origins[of.snapshotID].contents + 1}
	}
}

func (s *Snapshots) removeContent(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlink(name)
}

// unlink forgets a content.
func (s *Snapshots) unlink(name string) {
	of, known := s.cuts[name]
	delete(s.cuts, name)
	if !known || of.volume == "" || of.handle == "" {
		return
	}
	o := s.origins[of.snapshotID]
	if o.contents--; o.contents == 0 {
		delete(s.origins, of.snapshotID)
		return
	}
	s.origins[of.snapshotID] = o
}

func keysOf[V any](s *Snapshots, m map[string]V) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Keys(m))
}
