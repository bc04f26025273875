// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelets

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"roost.dev/roost/test/simstorage/cluster"
)

// machine is what is remembered of one node.
type machine struct {
	uid types.UID
	// tenants are the pods whose volumes are published or in use, by UID, also those that are gone.
	tenants map[types.UID]*tenant
	// confirmed tells whether the kubelet could confirm when the node was last looked at.
	confirmed bool
	// told are the handles that the model was told are published.
	told map[string]bool
	// inUse is what was written last, when the cached node had the version seen.
	inUse []string
	seen  string
}

// tenant is a pod that runs, or whose process may do so.
type tenant struct {
	mounts           []cluster.Attach
	hangs            bool
	published, inUse bool
}

// kubelet is what a kubelet can do at the moment.
type kubelet struct {
	// alive is when it can say what is in use, and confirms when it can also confirm that the storage is let go of.
	alive, confirms bool
}

func newMachine(uid types.UID) *machine {
	return &machine{
		uid: uid, confirmed: true,
		tenants: map[types.UID]*tenant{}, told: map[string]bool{},
	}
}

// letGo ends what the processes of pods that run no more have, as far as the kubelet can say. fenced tells whether a
// volume is fenced from the node.
func (m *machine) letGo(running func(types.UID) bool, can kubelet, fenced func(handle string) bool) {
	cameBack := can.confirms && !m.confirmed
	m.confirmed = can.confirms
	for uid, t := range m.tenants {
		if running(uid) {
			continue
		}
		if t.hangs && !cameBack && !t.allFenced(fenced) {
			continue
		}
		if can.alive {
			t.inUse = false
		}
		if can.confirms {
			t.published = false
		}
		if !t.inUse && !t.published {
			delete(m.tenants, uid)
		}
	}
}

// published is how the node uses each volume: read-only where all of its pods do. A kubelet waits for the attachment
// before it publishes, which kwok does not when it calls a pod Running.
func (m *machine) published(attached func(handle string) bool) map[string]cluster.Attach {
	wanted := map[string]cluster.Attach{}
	for _, t := range m.tenants {
		if !t.published {
			continue
		}
		for _, mount := range t.mounts {
			if !m.told[mount.Handle] && !attached(mount.Handle) {
				continue
			}
			if other, ok := wanted[mount.Handle]; ok {
				mount.ReadOnly = mount.ReadOnly && other.ReadOnly
			}
			wanted[mount.Handle] = mount
		}
	}
	return wanted
}

// handlesInUse are sorted.
func (m *machine) handlesInUse() []string {
	handles := map[string]bool{}
	for _, t := range m.tenants {
		if !t.inUse {
			continue
		}
		for _, mount := range t.mounts {
			handles[mount.Handle] = true
		}
	}
	return slices.Sorted(maps.Keys(handles))
}

func (t *tenant) allFenced(fenced func(handle string) bool) bool {
	return !slices.ContainsFunc(t.mounts, func(mount cluster.Attach) bool { return !fenced(mount.Handle) })
}
