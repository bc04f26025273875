// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// phases are those that a restore went through, each with when it began.
type phases struct {
	mu    sync.Mutex
	begun []phase
}

type phase struct {
	name snapshotv1alpha1.RestorePhase
	at   time.Time
}

// followPhases notes the phases of a restore from now on, until ctx ends. Most are shorter than the polls are apart.
func (s *story) followPhases(ctx context.Context, name string) (*phases, error) {
	watcher, err := s.client.Watch(ctx, &snapshotv1alpha1.SnapshotRestoreList{},
		client.InNamespace(shopNamespace), client.MatchingFields{"metadata.name": name})
	if err != nil {
		return nil, fmt.Errorf("watching restore %s: %w", name, err)
	}
	followed := &phases{}
	go func() {
		defer watcher.Stop()
		for event := range watcher.ResultChan() {
			if object, ok := event.Object.(*snapshotv1alpha1.SnapshotRestore); ok {
				followed.saw(object.Status.Phase, clock.RealClock{}.Now())
			}
		}
	}()
	return followed, nil
}

// saw notes a phase. An object that nobody has looked at yet has none.
func (p *phases) saw(name snapshotv1alpha1.RestorePhase, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if name == "" || len(p.begun) > 0 && p.begun[len(p.begun)-1].name == name {
		return
	}
	p.begun = append(p.begun, phase{name, at})
}

// beginOf is when a phase began, and the zero time where it did not.
func (p *phases) beginOf(name snapshotv1alpha1.RestorePhase) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, begun := range p.begun {
		if begun.name == name {
			return begun.at
		}
	}
	return time.Time{}
}

// table is how long each phase took, in seconds. The last one is where the restore is, which takes no time.
func (p *phases) table(restore string) [][]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	heading, row := []string{"seconds"}, []string{restore}
	for i := 1; i < len(p.begun); i++ {
		heading = append(heading, string(p.begun[i-1].name))
		row = append(row, fmt.Sprintf("%.1f", p.begun[i].at.Sub(p.begun[i-1].at).Seconds()))
	}
	return [][]string{heading, row}
}
