// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/test/simstorage/cluster"
)

// Client talks to a simstorage's admin API. Its methods may be called from any goroutine.
type Client struct {
	base string
}

// NewClient returns a client for an address such as 127.0.0.1:40123.
func NewClient(address string) *Client {
	return &Client{base: "http://" + address}
}

// Volumes returns all volumes and where their content is, sorted by handle.
func (c *Client) Volumes(ctx context.Context) ([]Volume, error) {
	return get[[]Volume](ctx, c, "volumes")
}

// Snapshots returns all snapshots and where their content is, sorted by id.
func (c *Client) Snapshots(ctx context.Context) ([]Snapshot, error) {
	return get[[]Snapshot](ctx, c, "snapshots")
}

// GroupSnapshots returns all group snapshots with their members, sorted by id.
func (c *Client) GroupSnapshots(ctx context.Context) ([]cluster.GroupSnapshot, error) {
	return get[[]cluster.GroupSnapshot](ctx, c, "group-snapshots")
}

// Nodes returns all Kubernetes nodes that simstorage knows, sorted by name.
func (c *Client) Nodes(ctx context.Context) ([]cluster.Node, error) {
	return get[[]cluster.Node](ctx, c, "nodes")
}

// Violations returns the volumes for one writer that two nodes could write to at once, oldest first.
func (c *Client) Violations(ctx context.Context) ([]cluster.Violation, error) {
	return get[[]cluster.Violation](ctx, c, "violations")
}

// Calls returns how often each CSI call was made so far, by its name in the CSI specification.
func (c *Client) Calls(ctx context.Context) (map[string]int64, error) {
	return get[map[string]int64](ctx, c, "calls")
}

// Faults returns the faults in force, except those of nodes and replicas.
func (c *Client) Faults(ctx context.Context) (Faults, error) {
	return get[Faults](ctx, c, "faults")
}

// SetNodeState sets the storage state of a storage node and why. The replicas on it keep their states.
func (c *Client) SetNodeState(ctx context.Context, node string, state storagev1alpha1.StorageState, message string) error {
	return c.put(ctx, nodeState{State: state, Message: message}, "nodes", node, "state")
}

// SetCutOff cuts a storage node off from the rest of the storage system, or reconnects it.
func (c *Client) SetCutOff(ctx context.Context, node string, cutOff bool) error {
	return c.put(ctx, nodeCutOff{CutOff: cutOff}, "nodes", node, "cut-off")
}

// SetReplicaState sets the state of a volume's replica on a node, and puts one there when there is none.
func (c *Client) SetReplicaState(ctx context.Context, handle, node string, state storagev1alpha1.ReplicaState) error {
	return c.put(ctx, replicaState{State: state}, "volumes", handle, "replicas", node)
}

// LoseReplica loses a volume's replica on a node for good.
func (c *Client) LoseReplica(ctx context.Context, handle, node string) error {
	return c.remove(ctx, "volumes", handle, "replicas", node)
}

// ForceDetach ends an attachment without asking the node.
func (c *Client) ForceDetach(ctx context.Context, handle, node string) error {
	return c.remove(ctx, "volumes", handle, "attachments", node)
}

// SetFencing sets who fences volumes from nodes: the storage system by itself, or SetFence alone.
func (c *Client) SetFencing(ctx context.Context, mode cluster.Fencing) error {
	return c.put(ctx, fencing{Mode: mode}, "fencing")
}

// SetFence fences a volume from a node, or lets the node write to it again.
func (c *Client) SetFence(ctx context.Context, handle, node string, fenced bool) error {
	return c.put(ctx, fence{Fenced: fenced}, "volumes", handle, "fences", node)
}

// SetAPI sets whether the storage API is down, and how long each call to it takes.
func (c *Client) SetAPI(ctx context.Context, down bool, delay time.Duration) error {
	return c.put(ctx, APIFault{Down: down, Delay: metav1.Duration{Duration: delay}}, "faults", "api")
}

// SetPublisher stops heartbeats and topology updates, or lets them go on.
func (c *Client) SetPublisher(ctx context.Context, silent bool) error {
	return c.put(ctx, PublisherFault{Silent: silent}, "faults", "publisher")
}

// SetSnapshots sets how snapshots that are taken from now on behave. The zero value is as it should be.
func (c *Client) SetSnapshots(ctx context.Context, fault SnapshotFault) error {
	return c.put(ctx, fault, "faults", "snapshots")
}

func (c *Client) put(ctx context.Context, body any, path ...string) error {
	return c.do(ctx, http.MethodPut, path, body, nil)
}

func (c *Client) remove(ctx context.Context, path ...string) error {
	return c.do(ctx, http.MethodDelete, path, nil, nil)
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	var result T
	err := c.do(ctx, http.MethodGet, []string{path}, nil, &result)
	return result, err
}

func (c *Client) do(ctx context.Context, method string, path []string, body, result any) error {
	target := c.base
	for _, segment := range path {
		target += "/" + url.PathEscape(segment)
	}
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return fmt.Errorf("encoding the body of %s %s: %w", method, target, err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, target, &content)
	if err != nil {
		return fmt.Errorf("building a request to simstorage: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking simstorage: %w", err)
	}
	defer response.Body.Close()
	decoder := json.NewDecoder(response.Body)
	if response.StatusCode >= http.StatusBadRequest {
		var f failure
		if err := decoder.Decode(&f); err != nil || f.Error == "" {
			f.Error = response.Status
		}
		return fmt.Errorf("simstorage refused %s %s: %s", method, request.URL.Path, f.Error)
	}
	if result == nil {
		return nil
	}
	if err := decoder.Decode(result); err != nil {
		return fmt.Errorf("decoding the answer to %s %s: %w", method, request.URL.Path, err)
	}
	return nil
}
