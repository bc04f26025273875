// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
)

const (
	volumePrefix = "vol-"

	// defaultVolumeBytes is the size of a volume whose request names none.
	defaultVolumeBytes = 1 << 30
)

// Source is what a new volume's data is copied from: a volume, a snapshot, or nothing.
type Source struct {
	VolumeHandle string `json:"volumeHandle,omitempty"`
	SnapshotID   string `json:"snapshotID,omitempty"`
}

// VolumeRequest asks for a volume.
type VolumeRequest struct {
	Name string
	// RequiredBytes is the least size, and LimitBytes the most; 0 leaves it open.
	RequiredBytes int64
	LimitBytes    int64
	Class         Class
	Source        Source
	Requirement   Requirement
}

// Replica is a full copy of a volume on a node.
type Replica struct {
	Node  string                       `json:"node"`
	State storagev1alpha1.ReplicaState `json:"state"`
}

// Volume is a view of a volume.
type Volume struct {
	Handle    string `json:"handle"`
	Name      string `json:"name"`
	SizeBytes int64  `json:"sizeBytes"`
	Class     Class  `json:"class"`
	Source    Source `json:"source,omitzero"`
	// Replicas are in the order they were placed.
	Replicas []Replica `json:"replicas"`
	// Attached are the names of the nodes that the volume is attached to, sorted.
	Attached []string `json:"attached"`
	// Published are the names of the nodes on which a process uses the volume, or may still do so, sorted.
	Published []string `json:"published"`
	// Fenced are the names of the nodes that cannot write to the volume, sorted.
	Fenced []string `json:"fenced"`
	// Hostnames are the hostname labels of the replicas' nodes.
	Hostnames []string `json:"hostnames"`
}

type volume struct {
	handle, name string
	size         int64
	class        Class
	source       Source
	replicas     []Replica
	attached     map[string]attachment
	// unconfirmed are attachments that were ended by force while their node was cut off: the node may still write.
	unconfirmed map[string]attachment
	published   map[string]attachment
	fenced      map[string]bool
}

// CreateVolume creates a volume, or returns the one of that name when it is what the request asks for.
func (c *Cluster) CreateVolume(r VolumeRequest) (Volume, error) {
	if err := r.validate(); err != nil {
		return Volume{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	handle := identifier(volumePrefix, r.Name)
	if v, ok := c.volumes[handle]; ok {
		if err := v.answers(r); err != nil {
			return Volume{}, err
		}
		return c.volumeView(v), nil
	}
	size, sources, err := c.resolveSource(r)
	if err != nil {
		return Volume{}, err
	}
	nodes, err := c.place(r, size, sources)
	if err != nil {
		return Volume{}, err
	}
	v := &volume{
		handle: handle, name: r.Name, size: size, class: r.Class, source: r.Source,
		attached: map[string]attachment{}, unconfirmed: map[string]attachment{},
		published: map[string]attachment{}, fenced: map[string]bool{},
	}
	for _, name := range nodes {
		v.replicas = append(v.replicas, Replica{Node: name, State: storagev1alpha1.ReplicaInSync})
		c.used[name] += size
	}
	c.volumes[handle] = v
	c.notify(VolumeChanged, handle)
	return c.volumeView(v), nil
}

// DeleteVolume deletes a volume that is attached nowhere. One that does not exist is as good as deleted.
func (c *Cluster) DeleteVolume(handle string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.volumes[handle]
	if !ok {
		return nil
	}
	if len(v.attached) > 0 {
		return errorf(Precondition, "volume %s is attached to %s", handle, strings.Join(v.attachedNodes(), ", "))
	}
	for _, replica := range v.replicas {
		c.used[replica.Node] -= v.size
	}
	delete(c.volumes, handle)
	c.notify(VolumeChanged, handle)
	return nil
}

// ExpandVolume makes a volume at least so many bytes large, where every node with a replica has room. It never shrinks.
func (c *Cluster) ExpandVolume(handle string, requiredBytes, limitBytes int64) (Volume, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, err := c.volume(handle)
	if err != nil {
		return Volume{}, err
	}
	size := max(v.size, requiredBytes)
	if limitBytes > 0 && size > limitBytes {
		return Volume{}, errorf(OutOfRange, "volume %s: limit_bytes: invalid value %d: must be at least %d", handle, limitBytes, size)
	}
	growth := size - v.size
	for _, replica := range v.replicas {
		if free := c.free(replica.Node); free < growth {
			return Volume{}, errorf(OutOfRange, "volume %s cannot grow by %d bytes: node %s has %d free", handle, growth, replica.Node, free)
		}
	}
	if growth > 0 {
		for _, replica := range v.replicas {
			c.used[replica.Node] += growth
		}
		v.size = size
	}
	return c.volumeView(v), nil
}

// Volume returns one volume.
func (c *Cluster) Volume(handle string) (Volume, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, err := c.volume(handle)
	if err != nil {
		return Volume{}, err
	}
	return c.volumeView(v), nil
}

// HasVolume tells whether there is a volume of that name.
func (c *Cluster) HasVolume(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.volumes[identifier(volumePrefix, name)] != nil
}

// Volumes returns all volumes, sorted by handle.
func (c *Cluster) Volumes() []Volume {
	c.mu.Lock()
	defer c.mu.Unlock()
	views := make([]Volume, 0, len(c.volumes))
	for _, handle := range slices.Sorted(maps.Keys(c.volumes)) {
		views = append(views, c.volumeView(c.volumes[handle]))
	}
	return views
}

func (c *Cluster) volume(handle string) (*volume, error) {
	v, ok := c.volumes[handle]
	if !ok {
		return nil, errorf(NotFound, "volume %q does not exist", handle)
	}
	return v, nil
}

func (c *Cluster) volumeView(v *volume) Volume {
	view := Volume{
		Handle: v.handle, Name: v.name, SizeBytes: v.size, Class: v.class, Source: v.source,
		Replicas: append([]Replica{}, v.replicas...), Attached: v.attachedNodes(),
		Published: v.publishedNodes(), Fenced: v.fencedNodes(), Hostnames: []string{},
	}
	for _, replica := range v.replicas {
		if n, ok := c.nodes[replica.Node]; ok {
			view.Hostnames = append(view.Hostnames, n.labels[corev1.LabelHostname])
		}
	}
	return view
}

func (r VolumeRequest) validate() error {
	if r.Name == "" {
		return errorf(Invalid, "name: must not be empty")
	}
	if r.RequiredBytes < 0 {
		return errorf(Invalid, "required_bytes: invalid value %d: must not be negative", r.RequiredBytes)
	}
	if r.LimitBytes < 0 {
		return errorf(Invalid, "limit_bytes: invalid value %d: must not be negative", r.LimitBytes)
	}
	if r.LimitBytes > 0 && r.RequiredBytes > r.LimitBytes {
		return errorf(Invalid, "required_bytes: invalid value %d: must be at most limit_bytes, which is %d", r.RequiredBytes, r.LimitBytes)
	}
	return r.Requirement.validate()
}

// answers tells why the volume is not the one asked for.
func (v *volume) answers(r VolumeRequest) error {
	switch {
	case v.name != r.Name:
		return errorf(Exists, "the handle of volume %q is taken by volume %q", r.Name, v.name)
	case v.size < r.RequiredBytes || r.LimitBytes > 0 && v.size > r.LimitBytes:
		return errorf(Exists, "volume %q exists with another size: %d bytes", r.Name, v.size)
	case v.class != r.Class:
		return errorf(Exists, "volume %q exists with other parameters: replicas %d, access %s", r.Name, v.class.Replicas, v.class.Access)
	case v.source != r.Source:
		return errorf(Exists, "volume %q exists with another source: volume %q, snapshot %q", r.Name, v.source.VolumeHandle, v.source.SnapshotID)
	}
	return nil
}

// resolveSource returns the new volume's size and the nodes that have its data already.
func (c *Cluster) resolveSource(r VolumeRequest) (int64, []string, error) {
	size, nodes := int64(0), []string(nil)
	switch {
	case r.Source.VolumeHandle != "":
		v, err := c.volume(r.Source.VolumeHandle)
		if err != nil {
			return 0, nil, err
		}
		size, nodes = v.size, c.usableNodes(v)
		if len(nodes) == 0 {
			return 0, nil, errorf(Unavailable, "source volume %s has no usable replica", v.handle)
		}
	case r.Source.SnapshotID != "":
		s, err := c.readySnapshot(r.Source.SnapshotID)
		if err != nil {
			return 0, nil, err
		}
		size, nodes = s.SizeBytes, s.Nodes
	}
	if r.LimitBytes > 0 && size > r.LimitBytes {
		return 0, nil, errorf(OutOfRange, "limit_bytes: invalid value %d: must be at least the source's %d", r.LimitBytes, size)
	}
	if size == 0 && r.RequiredBytes == 0 {
		size = defaultVolumeBytes
		if r.LimitBytes > 0 {
			size = min(size, r.LimitBytes)
		}
	}
	return max(size, r.RequiredBytes), nodes, nil
}

// place chooses nodes for a volume, and says what is missing when there are not enough.
func (c *Cluster) place(r VolumeRequest, size int64, sources []string) ([]string, error) {
	p := placement{volume: r.Name, class: r.Class, preferred: r.Requirement.Preferred, sources: sources}
	allowed := func(*node) bool { return true }
	if len(r.Requirement.Requisite) > 0 {
		allowed = anyOf(r.Requirement.Requisite)
	}
	storage, healthy, inTopology := 0, 0, 0
	for _, n := range c.nodes {
		if !n.storage {
			continue
		}
		storage++
		if !n.healthy() {
			continue
		}
		healthy++
		if !allowed(n) {
			continue
		}
		inTopology++
		if free := c.free(n.name); free >= size {
			p.candidates = append(p.candidates, candidate{node: n, free: free})
		}
	}
	withRoom := len(p.candidates)
	if withRoom < r.Class.Replicas {
		return nil, errorf(Exhausted,
			"volume %q needs %d storage nodes with %d bytes free: there are %d storage nodes, %d of them healthy, %d of those in the requisite topology, %d of those with room",
			r.Name, r.Class.Replicas, size, storage, healthy, inTopology, withRoom)
	}
	return p.choose(), nil
}
