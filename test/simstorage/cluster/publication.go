// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

// PublishVolume records that a process on a node uses a volume, or uses it in another way than before. Nothing is refused:
// a volume for one writer that two nodes now write to is a violation.
func (c *Cluster) PublishVolume(a Attach) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, _, err := c.volumeAndNode(a.Handle, a.Node)
	if err != nil {
		return err
	}
	wanted := attachment{sharing: a.Sharing, readOnly: a.ReadOnly}
	present, ok := v.published[a.Node]
	if ok && present == wanted {
		return nil
	}
	v.published[a.Node] = wanted
	c.settleFences(v)
	if !ok || present.readOnly {
		c.recordPublished(v, a.Node)
	}
	return nil
}

// UnpublishVolume records that no process on a node uses a volume any more. What is not published is as good as that.
func (c *Cluster) UnpublishVolume(handle, node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.volumes[handle]; ok {
		delete(v.published, node)
		c.settleFences(v)
	}
}

// recordPublished records the other nodes that write to a volume as this one does.
func (c *Cluster) recordPublished(v *volume, node string) {
	mine, ok := v.published[node]
	if !ok || mine.readOnly || v.fenced[node] {
		return
	}
	for _, other := range v.publishedNodes() {
		held := v.published[other]
		if other == node || held.readOnly || v.fenced[other] || !held.excludes(mine) {
			continue
		}
		c.violations = append(c.violations, Violation{
			Time: c.clock.Now(), Handle: v.handle, Nodes: []string{other, node},
			Message: "published on " + node + " while it is still published on " + other + ", which is not fenced and may still write",
		})
	}
}
