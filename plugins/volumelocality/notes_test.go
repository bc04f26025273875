// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"strings"
	"testing"
)

func TestCutKeepsCharactersWhole(t *testing.T) {
	for limit := 3; limit < 12; limit++ {
		got := cut("aüüüüüüü", limit)
		if len(got) > limit || strings.Contains(got, "\ufffd") || strings.Trim(got, "aü.") != "" {
			t.Errorf("cut to %d bytes = %q", limit, got)
		}
	}
}

func TestNotesAreForgottenWithTheirPods(t *testing.T) {
	gone, stays := unscheduled("gone", ""), unscheduled("stays", "")
	pl, _, source := watched(t, gone, stays)
	pl.notes.set(gone.UID, "noted")
	pl.notes.set(stays.UID, "noted")
	source.Delete(gone)
	waitUntil(t, func() bool {
		pl.notes.mu.Lock()
		defer pl.notes.mu.Unlock()
		return pl.notes.byPod[gone.UID] == ""
	})
	if got := pl.notes.take(stays.UID); got != "noted" {
		t.Errorf("note of a pod that was not deleted = %q, want it kept", got)
	}
}

func TestANoteIsTakenOnce(t *testing.T) {
	var n notes
	if got := n.take("db-0"); got != "" {
		t.Errorf("note of a pod that was never noted = %q", got)
	}
	n.set("db-0", "first")
	n.set("db-0", "second")
	n.set("db-1", "another")
	for i, want := range []string{"second", ""} {
		if got := n.take("db-0"); got != want {
			t.Errorf("take %d = %q, want %q", i, got, want)
		}
	}
	if len(n.byPod) != 1 {
		t.Errorf("%d notes are kept, want that of the other pod alone", len(n.byPod))
	}
}
