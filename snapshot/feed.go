// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"errors"
	"sync"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/internal/memory"
	"roost.dev/roost/internal/mirror"
)

// FeedOptions are what a Feed needs. All are required.
type FeedOptions struct {
	// Client lists and watches the kinds of Roost's snapshots and of CSI snapshots, which the API server may not serve.
	Client mirror.Client
	// Informers give Kubernetes' own objects. Their owner starts them, after NewFeed.
	Informers informers.SharedInformerFactory
	// Scheme knows all kinds.
	Scheme *runtime.Scheme
	Clock  clock.Clock
}

// Feed is what the loops read in memory, and tells them what changed.
type Feed struct {
	reader *memory.Reader

	snapshots     *kindFeed[*snapshotv1alpha1.ApplicationSnapshot]
	schedules     *kindFeed[*snapshotv1alpha1.SnapshotSchedule]
	restores      *kindFeed[*snapshotv1alpha1.SnapshotRestore]
	csiSnapshots  *kindFeed[*snapshotv1.VolumeSnapshot]
	csiContents   *kindFeed[*snapshotv1.VolumeSnapshotContent]
	csiClasses    *kindFeed[*snapshotv1.VolumeSnapshotClass]
	claims, nodes cache.SharedIndexInformer
	informers     []cache.SharedIndexInformer
}

// NewFeed returns a feed that follows nothing until Start, and adds what it needs to the informers.
func NewFeed(o FeedOptions) (*Feed, error) {
	f := &Feed{
		reader: memory.NewReader(o.Scheme),
		snapshots: newKindFeed("ApplicationSnapshots", o, func() *snapshotv1alpha1.ApplicationSnapshot { return &snapshotv1alpha1.ApplicationSnapshot{} },
			func() client.ObjectList { return &snapshotv1alpha1.ApplicationSnapshotList{} }),
		schedules: newKindFeed("SnapshotSchedules", o, func() *snapshotv1alpha1.SnapshotSchedule { return &snapshotv1alpha1.SnapshotSchedule{} },
			func() client.ObjectList { return &snapshotv1alpha1.SnapshotScheduleList{} }),
		restores: newKindFeed("SnapshotRestores", o, func() *snapshotv1alpha1.SnapshotRestore { return &snapshotv1alpha1.SnapshotRestore{} },
			func() client.ObjectList { return &snapshotv1alpha1.SnapshotRestoreList{} }),
		csiSnapshots: newKindFeed("VolumeSnapshots", o, func() *snapshotv1.VolumeSnapshot { return &snapshotv1.VolumeSnapshot{} },
			func() client.ObjectList { return &snapshotv1.VolumeSnapshotList{} }),
		csiContents: newKindFeed("VolumeSnapshotContents", o, func() *snapshotv1.VolumeSnapshotContent { return &snapshotv1.VolumeSnapshotContent{} },
			func() client.ObjectList { return &snapshotv1.VolumeSnapshotContentList{} }),
		csiClasses: newKindFeed("VolumeSnapshotClasses", o, func() *snapshotv1.VolumeSnapshotClass { return &snapshotv1.VolumeSnapshotClass{} },
			func() client.ObjectList { return &snapshotv1.VolumeSnapshotClassList{} }),
		claims: o.Informers.Core().V1().PersistentVolumeClaims().Informer(),
		nodes:  o.Informers.Core().V1().Nodes().Informer(),
	}
	return f, f.followAll(o.Informers)
}

func (f *Feed) followAll(factory informers.SharedInformerFactory) error {
	follow := func(object client.Object, informer cache.SharedIndexInformer) error {
		f.informers = append(f.informers, informer)
		return f.reader.Follow(object, memory.Kind{Indexer: informer.GetIndexer()})
	}
	return errors.Join(
		f.snapshots.follow(f.reader), f.schedules.follow(f.reader), f.restores.follow(f.reader),
		f.csiSnapshots.follow(f.reader), f.csiContents.follow(f.reader), f.csiClasses.follow(f.reader),
		follow(&corev1.PersistentVolumeClaim{}, f.claims),
		follow(&corev1.Node{}, f.nodes),
		follow(&corev1.Pod{}, factory.Core().V1().Pods().Informer()),
		follow(&corev1.PersistentVolume{}, factory.Core().V1().PersistentVolumes().Informer()),
		follow(&storagev1.StorageClass{}, factory.Storage().V1().StorageClasses().Informer()),
		follow(&storagev1.VolumeAttachment{}, factory.Storage().V1().VolumeAttachments().Informer()),
	)
}

// Reader reads what is followed.
func (f *Feed) Reader() client.Reader { return f.reader }

// NeedLeaderElection implements controller-runtime's LeaderElectionRunnable: a manager that takes over is warm.
func (f *Feed) NeedLeaderElection() bool { return false }

// Start implements controller-runtime's Runnable. It follows the kinds that are custom resources until ctx is done.
func (f *Feed) Start(ctx context.Context) error {
	var group sync.WaitGroup
	for _, run := range []func(context.Context){
		f.snapshots.mirror.Run, f.schedules.mirror.Run, f.restores.mirror.Run,
		f.csiSnapshots.mirror.Run, f.csiContents.mirror.Run, f.csiClasses.mirror.Run,
	} {
		group.Go(func() { run(ctx) })
	}
	group.Wait()
	return nil
}

// WaitForSync waits until everything that existed at the start is known. It is false where ctx ended before.
func (f *Feed) WaitForSync(ctx context.Context) bool {
	synced := []cache.InformerSynced{
		f.snapshots.mirror.HasSynced, f.schedules.mirror.HasSynced, f.restores.mirror.HasSynced,
		f.csiSnapshots.mirror.HasSynced, f.csiContents.mirror.HasSynced, f.csiClasses.mirror.HasSynced,
	}
	for _, informer := range f.informers {
		synced = append(synced, informer.HasSynced)
	}
	return cache.WaitForCacheSync(ctx.Done(), synced...)
}
