// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"roost.dev/roost/drivers"
)

// index holds what locations are made from. It is not safe for concurrent use.
type index struct {
	nodes   *nodeIndex
	volumes map[drivers.VolumeID]*volume
	// byName finds the volume that a PersistentVolume stands for.
	byName map[string]*volume
	// attached are the nodes that a PersistentVolume is attached to, by the name of the VolumeAttachment.
	attached map[string]map[string]string
	// attachments find the PersistentVolume of a VolumeAttachment.
	attachments map[string]string
}

// volume is one volume, and the PersistentVolumes that stand for it: one, save for an administrator who made several.
type volume struct {
	id       drivers.VolumeID
	sources  []source
	pinnedBy []pin
}

// source is what one PersistentVolume says of its volume.
type source struct {
	name     string
	affinity *corev1.NodeSelector
	// cluster is the storage cluster that has the volume, empty where its driver has no such parameter.
	cluster string
}

func newIndex() *index {
	return &index{
		nodes:       newNodeIndex(),
		volumes:     map[drivers.VolumeID]*volume{},
		byName:      map[string]*volume{},
		attached:    map[string]map[string]string{},
		attachments: map[string]string{},
	}
}

// setPersistentVolume returns the volumes whose location or storage cluster may have changed.
func (x *index) setPersistentVolume(pv *corev1.PersistentVolume) []*volume {
	says := source{name: pv.Name, affinity: requiredAffinity(pv), cluster: clusterOf(pv)}
	id, ok := drivers.VolumeOf(pv)
	before := x.byName[pv.Name]
	if before != nil && ok && before.id == id {
		if !x.replaceSource(before, says) {
			return nil
		}
		return []*volume{before}
	}
	// Its source does not change; another PersistentVolume of the same name has come without our seeing the first one go.
	var touched []*volume
	if before != nil {
		touched = append(touched, x.removePersistentVolume(pv.Name))
	}
	if !ok {
		return touched
	}
	v := x.volumes[id]
	if v == nil {
		v = &volume{id: id}
		x.volumes[id] = v
	}
	x.byName[pv.Name] = v
	x.setSources(v, append(slices.Clone(v.sources), says))
	return append(touched, v)
}

// replaceSource is false where the PersistentVolume has said so before.
func (x *index) replaceSource(v *volume, says source) bool {
	at := slices.IndexFunc(v.sources, func(s source) bool { return s.name == says.name })
	if v.sources[at].cluster == says.cluster && equality.Semantic.DeepEqual(v.sources[at].affinity, says.affinity) {
		return false
	}
	sources := slices.Clone(v.sources)
	sources[at] = says
	x.setSources(v, sources)
	return true
}

// removePersistentVolume returns the volume that it stood for, nil where there is none.
func (x *index) removePersistentVolume(name string) *volume {
	v := x.byName[name]
	if v == nil {
		return nil
	}
	delete(x.byName, name)
	x.setSources(v, slices.DeleteFunc(v.sources, func(s source) bool { return s.name == name }))
	if len(v.sources) == 0 {
		delete(x.volumes, v.id)
	}
	return v
}

func (x *index) setSources(v *volume, sources []source) {
	x.nodes.unfollow(v, v.pinnedBy)
	v.sources, v.pinnedBy = sources, nil
	for _, s := range sources {
		v.pinnedBy = append(v.pinnedBy, pins(s.affinity)...)
	}
	x.nodes.follow(v, v.pinnedBy)
}

// setNode sets or, where node is nil, removes a node. It returns the volumes whose location may have changed.
func (x *index) setNode(name string, node *corev1.Node) map[*volume]struct{} {
	return x.nodes.set(name, node)
}

// setAttachment returns the volumes whose location may have changed.
func (x *index) setAttachment(attachment *storagev1.VolumeAttachment) []*volume {
	var touched []*volume
	if v := x.removeAttachment(attachment.Name); v != nil {
		touched = append(touched, v)
	}
	pv := attachment.Spec.Source.PersistentVolumeName
	if pv == nil || !attachment.Status.Attached {
		return touched
	}
	x.attachments[attachment.Name] = *pv
	if x.attached[*pv] == nil {
		x.attached[*pv] = map[string]string{}
	}
	x.attached[*pv][attachment.Name] = attachment.Spec.NodeName
	if v := x.byName[*pv]; v != nil && !slices.Contains(touched, v) {
		touched = append(touched, v)
	}
	return touched
}

// removeAttachment returns the volume that it attached, nil where there is none.
func (x *index) removeAttachment(name string) *volume {
	pv, ok := x.attachments[name]
	if !ok {
		return nil
	}
	delete(x.attachments, name)
	delete(x.attached[pv], name)
	if len(x.attached[pv]) == 0 {
		delete(x.attached, pv)
	}
	return x.byName[pv]
}

// isAttached says that the volume is attached, by this VolumeAttachment or by another one.
func (x *index) isAttached(attachment *storagev1.VolumeAttachment) bool {
	pv := attachment.Spec.Source.PersistentVolumeName
	return pv != nil && len(x.attached[*pv]) > 0
}

// locate is where the volume is: on the nodes that any of its PersistentVolumes names.
func (x *index) locate(v *volume) (drivers.Location, bool) {
	nodes, attached := map[string]struct{}{}, map[string]struct{}{}
	for _, s := range v.sources {
		for _, node := range x.nodes.pinnedTo(s.affinity) {
			nodes[node] = struct{}{}
		}
		for _, node := range x.attached[s.name] {
			attached[node] = struct{}{}
		}
	}
	if len(nodes) == 0 {
		return drivers.Location{}, false
	}
	location := drivers.Location{Replicas: make([]drivers.Replica, 0, len(nodes)), Pinned: true}
	for _, node := range slices.Sorted(maps.Keys(nodes)) {
		location.Replicas = append(location.Replicas, drivers.Replica{Node: node, State: drivers.InSync})
	}
	location.AttachedTo = slices.Sorted(maps.Keys(attached))
	return location, true
}

// cluster is the storage cluster that has the volume. It is false where its PersistentVolumes do not agree, and where there
// is none left.
func (v *volume) cluster() (string, bool) {
	if len(v.sources) == 0 {
		return "", false
	}
	first := v.sources[0].cluster
	return first, !slices.ContainsFunc(v.sources, func(s source) bool { return s.cluster != first })
}

func clusterOf(pv *corev1.PersistentVolume) string {
	if pv.Spec.CSI == nil {
		return ""
	}
	return pv.Spec.CSI.VolumeAttributes[clusterID]
}

func requiredAffinity(pv *corev1.PersistentVolume) *corev1.NodeSelector {
	if pv.Spec.NodeAffinity == nil {
		return nil
	}
	return pv.Spec.NodeAffinity.Required
}

func equal(a, b drivers.Location) bool {
	return slices.Equal(a.Replicas, b.Replicas) && slices.Equal(a.AttachedTo, b.AttachedTo)
}
