// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"context"
	"testing"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

func TestContent(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil  func(*objects)
		reason string
		final  bool
	}{
		"as it was taken":               {spoil: func(*objects) {}},
		"no VolumeSnapshot":             {spoil: func(o *objects) { o.csi.Name = "other" }, reason: ReasonSnapshotGone, final: true},
		"another VolumeSnapshot":        {spoil: func(o *objects) { o.csi.UID = "later" }, reason: ReasonSnapshotGone, final: true},
		"nobody knows which":            {spoil: func(o *objects) { o.member().VolumeSnapshotUID = "" }, reason: ReasonSnapshotGone, final: true},
		"one that is being deleted":     {spoil: func(o *objects) { deleted(o.csi) }, reason: ReasonSnapshotGone, final: true},
		"one without status":            {spoil: func(o *objects) { o.csi.Status = nil }, reason: ReasonSnapshotNotReady},
		"one that names no content":     {spoil: func(o *objects) { o.csi.Status.BoundVolumeSnapshotContentName = nil }, reason: ReasonSnapshotNotReady},
		"one that may be ready":         {spoil: func(o *objects) { o.csi.Status.ReadyToUse = nil }, reason: ReasonSnapshotNotReady},
		"one that is not ready":         {spoil: func(o *objects) { o.csi.Status.ReadyToUse = ptr.To(false) }, reason: ReasonSnapshotNotReady},
		"no content":                    {spoil: func(o *objects) { o.content.Name = "other" }, reason: ReasonSnapshotGone, final: true},
		"content that is being deleted": {spoil: func(o *objects) { deleted(o.content) }, reason: ReasonSnapshotGone, final: true},
		"content of a former one":       {spoil: func(o *objects) { o.content.Spec.VolumeSnapshotRef.UID = "former" }, reason: ReasonSnapshotMisbound, final: true},
		"content of another one":        {spoil: func(o *objects) { o.content.Spec.VolumeSnapshotRef.Name = "other" }, reason: ReasonSnapshotMisbound, final: true},
		"content of another namespace":  {spoil: func(o *objects) { o.content.Spec.VolumeSnapshotRef.Namespace = "other" }, reason: ReasonSnapshotMisbound, final: true},
		"content that is half bound":    {spoil: func(o *objects) { o.content.Spec.VolumeSnapshotRef.UID = "" }, reason: ReasonSnapshotNotReady},
		"content of another driver":     {spoil: func(o *objects) { o.content.Spec.Driver = "other" }, reason: ReasonSnapshotMisbound, final: true},
		"content that is not ready":     {spoil: func(o *objects) { o.content.Status.ReadyToUse = nil }, reason: ReasonSnapshotNotReady},
		"content without a handle":      {spoil: func(o *objects) { o.content.Status.SnapshotHandle = nil }, reason: ReasonSnapshotNotReady},
		"a stale error beside ready": {spoil: func(o *objects) {
			o.csi.Status.Error = &snapshotv1.VolumeSnapshotError{Message: ptr.To("timed out")}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := healthy()
			tc.spoil(o)
			source := Source{Client: o.client(t)}
			_, content, err := source.Content(t.Context(), "prod", o.member())
			wantProblem(t, err, tc.reason, tc.final)
			if err == nil && Handle(content) != "handle" {
				t.Errorf("handle is %q, want the storage system's", Handle(content))
			}
		})
	}
}

func TestNoCRDsAreWaitedFor(t *testing.T) {
	o := healthy()
	source := Source{Client: interceptor.NewClient(o.client(t), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return &meta.NoKindMatchError{}
		},
	})}
	_, _, err := source.Content(t.Context(), "prod", o.member())
	wantProblem(t, err, ReasonCRDsMissing, false)
	_, err = source.Snapshot(t.Context(), restoreIn("prod"))
	wantProblem(t, err, ReasonCRDsMissing, false)
}
