// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/internal/builders"
)

// play goes on until the pods are gone, and does meanwhile what attach-detach and the CSI attacher do.
func (w *world) play(names ...string) error {
	for range 30 {
		w.advance(names...)
		w.attachDetach()
		if len(w.job(names...).Candidates) == 0 && w.detaching == 0 && !w.tainted() {
			return nil
		}
		if w.crashAt > 0 && len(w.log) >= w.crashAt {
			w.crashAt = 0
			w.restart()
		}
	}
	return fmt.Errorf("not done after 30 rounds; writes %q", w.log)
}

func (w *world) tainted() bool {
	node := makeNode(true)
	if err := w.raw.Get(w.t.Context(), client.ObjectKeyFromObject(node), node); err != nil {
		w.t.Fatal(err)
	}
	return HasOurTaint(node)
}

// attachDetach ends deleted attachments, and where the node is out those of pods that are gone.
func (w *world) attachDetach() {
	var attachments storagev1.VolumeAttachmentList
	if err := w.raw.List(w.t.Context(), &attachments); err != nil {
		w.t.Fatal(err)
	}
	for i := range attachments.Items {
		attachment := &attachments.Items[i]
		claim := strings.TrimPrefix(attachment.Name, "va-")
		var pod corev1.Pod
		gone := apierrors.IsNotFound(w.raw.Get(w.t.Context(), client.ObjectKey{Namespace: builders.Namespace, Name: "pod-" + claim}, &pod))
		if attachment.DeletionTimestamp == nil && w.tainted() && gone {
			_ = w.raw.Delete(w.t.Context(), attachment)
		} else if attachment.DeletionTimestamp == nil {
			continue
		}
		w.release(&storagev1.VolumeAttachment{}, attachment.Name)
	}
}

// TestCrashAtEveryWrite lets each write of each procedure fail and a new mover go on, which remembers nothing.
func TestCrashAtEveryWrite(t *testing.T) {
	foreign := append(makeVolume("f", theirs), makePod("pod-f", "f"))
	scenarios := map[string]struct {
		more   []client.Object
		ready  bool
		writes int
	}{
		"a dead node, fenced as a whole": {writes: 4},
		"a dead node, partly fenced":     {more: foreign, writes: 6},
		"a live node whose pods hang":    {ready: true, writes: 6},
	}
	for name, tc := range scenarios {
		for crashAt := range tc.writes + 1 {
			t.Run(fmt.Sprintf("%s, at write %d", name, crashAt), func(t *testing.T) {
				w := newWorld(t, join(makeNode(tc.ready), []client.Object{makePod("pod-a", "a"), makePod("pod-b", "b")},
					makeVolume("a", ours), makeVolume("b", ours), tc.more)...)
				w.fence("a", "b")
				w.shared["pv-f"] = []*corev1.Pod{makePod("pod-f")}
				w.crashAt = crashAt
				if tc.ready {
					w.advance("pod-a", "pod-b")
					w.clock.SetTime(time.Now().Add(time.Hour))
				}
				if err := w.play("pod-a", "pod-b"); err != nil {
					t.Fatal(err)
				}
				w.wantOrder(len(tc.more) > 0 || tc.ready)
			})
		}
	}
}

// wantOrder wants attachments to go before pods where that is the order, and nothing foreign to go at all.
func (w *world) wantOrder(attachmentsFirst bool) {
	w.t.Helper()
	for _, name := range []string{"a", "b"} {
		pod := slices.Index(w.log, "delete pod-"+name+" grace 0")
		attachment := slices.Index(w.log, "delete va-"+name)
		if pod < 0 || attachmentsFirst && (attachment < 0 || attachment > pod) || !attachmentsFirst && attachment >= 0 {
			w.t.Errorf("volume %s: wrong order; writes %q", name, w.log)
		}
	}
	if slices.ContainsFunc(w.log, func(entry string) bool { return strings.HasSuffix(entry, "-f") || strings.Contains(entry, "-f ") }) {
		w.t.Errorf("something foreign was written; writes %q", w.log)
	}
}
