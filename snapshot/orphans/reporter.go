// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package orphans

import (
	"context"
	"errors"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// DefaultInterval is between two looks.
	DefaultInterval = 5 * time.Minute
	// DefaultGrace is between the first look that finds an orphan and the one that reports it.
	DefaultGrace = 10 * time.Minute

	// EventOrphaned comes once on a VolumeSnapshotContent whose VolumeSnapshot is gone.
	EventOrphaned = "SnapshotContentOrphaned"
	action        = "Report"

	// ReasonRetained is that the deletionPolicy is Retain, so that nobody else deletes it.
	ReasonRetained = "Retained"
	// ReasonLost is that the VolumeSnapshot is gone and the content should have gone with it.
	ReasonLost = "Lost"
	// ReasonDeleting is that the content is being deleted and does not go.
	ReasonDeleting = "Deleting"
)

// Options are what a Reporter works with. Memory, Recorder, Clock and Metrics are required.
type Options struct {
	// Memory has VolumeSnapshots and VolumeSnapshotContents.
	Memory   client.Reader
	Recorder events.EventRecorder
	Clock    clock.WithTicker
	// Interval and Grace are DefaultInterval and DefaultGrace where they are 0.
	Interval, Grace time.Duration
	// Metrics has what was found last.
	Metrics *Metrics
}

// Reporter looks for orphans. It is for one goroutine.
type Reporter struct {
	Options
	// found is when a content was first found without its VolumeSnapshot, by its UID.
	found map[types.UID]*orphan
}

// orphan is a content without its VolumeSnapshot.
type orphan struct {
	since    time.Time
	reported bool
}

// New returns a Reporter that has found nothing.
func New(options Options) (*Reporter, error) {
	if options.Memory == nil || options.Recorder == nil || options.Clock == nil || options.Metrics == nil {
		return nil, errors.New("a report of orphans needs a memory, a recorder, a clock and metrics")
	}
	if options.Interval <= 0 {
		options.Interval = DefaultInterval
	}
	if options.Grace <= 0 {
		options.Grace = DefaultGrace
	}
	return &Reporter{Options: options, found: map[types.UID]*orphan{}}, nil
}

// Start looks every interval until ctx is done.
func (r *Reporter) Start(ctx context.Context) error {
	ticker := r.Clock.NewTicker(r.Interval)
	defer ticker.Stop()
	for {
		if err := r.Look(ctx); err != nil {
			klog.FromContext(ctx).Error(err, "Looking for orphaned VolumeSnapshotContents; looking again", "after", r.Interval)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

// Look looks once. Where the kinds are not served there are no orphans.
func (r *Reporter) Look(ctx context.Context) error {
	var contents snapshotv1.VolumeSnapshotContentList
	var snapshots snapshotv1.VolumeSnapshotList
	// Contents come first: one that is made in between has its VolumeSnapshot in the second list.
	err := errors.Join(r.Memory.List(ctx, &contents), r.Memory.List(ctx, &snapshots))
	if err != nil && !meta.IsNoMatchError(err) {
		return fmt.Errorf("listing snapshots: %w", err)
	}
	if err != nil {
		contents.Items = nil
	}
	known := make(map[types.UID]bool, len(snapshots.Items))
	for i := range snapshots.Items {
		known[snapshots.Items[i].UID] = true
	}
	for _, content := range r.settle(contents.Items, known) {
		klog.FromContext(ctx).V(2).Info("A VolumeSnapshotContent has no VolumeSnapshot any more", "content", content.Name, "driver", content.Spec.Driver)
		r.Recorder.Eventf(content, nil, corev1.EventTypeWarning, EventOrphaned, action,
			"VolumeSnapshot %s/%s is gone (%s); the snapshot uses space in the storage system of %s. Roost does not delete it: delete this object if nobody needs the data",
			content.Spec.VolumeSnapshotRef.Namespace, content.Spec.VolumeSnapshotRef.Name, reasonOf(content), content.Spec.Driver)
	}
	return nil
}

// settle enters what was found, and returns what is new to report.
func (r *Reporter) settle(contents []snapshotv1.VolumeSnapshotContent, known map[types.UID]bool) []*snapshotv1.VolumeSnapshotContent {
	now := r.Clock.Now()
	var fresh []*snapshotv1.VolumeSnapshotContent
	still, counts := map[types.UID]*orphan{}, map[group]int{}
	for i := range contents {
		content := &contents[i]
		// One without a UID was made by hand, and waits for the VolumeSnapshot that is to have it.
		if uid := content.Spec.VolumeSnapshotRef.UID; uid == "" || known[uid] {
			continue
		}
		seen, again := r.found[content.UID]
		if !again {
			seen = &orphan{since: now}
		}
		still[content.UID] = seen
		if !again || now.Sub(seen.since) < r.Grace {
			continue
		}
		counts[group{content.Spec.Driver, reasonOf(content)}]++
		if !seen.reported {
			seen.reported = true
			fresh = append(fresh, content)
		}
	}
	r.found = still
	r.Metrics.set(counts)
	return fresh
}

func reasonOf(content *snapshotv1.VolumeSnapshotContent) string {
	switch {
	case content.DeletionTimestamp != nil:
		return ReasonDeleting
	case content.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentRetain:
		return ReasonRetained
	default:
		return ReasonLost
	}
}
