// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"roost.dev/roost/test/simstorage/cluster"
	"roost.dev/roost/test/simstorage/content"
)

const (
	maxBodyBytes      = 1 << 16
	readHeaderTimeout = 10 * time.Second
)

// Server answers the admin API.
type Server struct {
	cluster *cluster.Cluster
	content *content.Store
	calls   func() map[string]int64
}

// NewServer returns a server for a model and its content, which may be nil; calls tells how often each CSI call was made.
func NewServer(c *cluster.Cluster, store *content.Store, calls func() map[string]int64) *Server {
	return &Server{cluster: c, content: store, calls: calls}
}

// Listen opens a TCP address, which must be one of the loopback interface. Port 0 chooses a free one.
func Listen(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("admin address %q: %w", address, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("admin address: invalid value %q: must be a loopback IP address with a port, such as 127.0.0.1:0", address)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on the admin address: %w", err)
	}
	return listener, nil
}

// Serve answers requests until ctx ends.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: readHeaderTimeout}
	// No request waits for anything, so there is nothing to finish.
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	klog.FromContext(ctx).Info("Serving the admin API", "address", listener.Addr().String())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the admin API on %s: %w", listener.Addr(), err)
	}
	return nil
}

// Handler returns the API's routes.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /volumes", answer(s.volumes))
	mux.HandleFunc("GET /snapshots", answer(s.snapshots))
	mux.HandleFunc("GET /group-snapshots", answer(s.cluster.GroupSnapshots))
	mux.HandleFunc("GET /nodes", answer(s.cluster.Nodes))
	mux.HandleFunc("GET /violations", answer(s.cluster.Violations))
	mux.HandleFunc("GET /calls", answer(s.calls))
	mux.HandleFunc("GET /faults", answer(s.faults))
	mux.HandleFunc("PUT /nodes/{node}/state", change(func(r *http.Request, body nodeState) error {
		return s.cluster.SetNodeState(r.PathValue("node"), body.State, body.Message)
	}))
	mux.HandleFunc("PUT /nodes/{node}/cut-off", change(func(r *http.Request, body nodeCutOff) error {
		return s.cluster.SetCutOff(r.PathValue("node"), body.CutOff)
	}))
	mux.HandleFunc("PUT /volumes/{handle}/replicas/{node}", change(func(r *http.Request, body replicaState) error {
		return s.cluster.SetReplicaState(r.PathValue("handle"), r.PathValue("node"), body.State)
	}))
	mux.HandleFunc("DELETE /volumes/{handle}/replicas/{node}", act(func(r *http.Request) error {
		return s.cluster.RemoveReplica(r.PathValue("handle"), r.PathValue("node"))
	}))
	mux.HandleFunc("DELETE /volumes/{handle}/attachments/{node}", act(func(r *http.Request) error {
		return s.cluster.ForceDetach(r.PathValue("handle"), r.PathValue("node"))
	}))
	mux.HandleFunc("PUT /fencing", change(func(_ *http.Request, body fencing) error { return s.cluster.SetFencing(body.Mode) }))
	mux.HandleFunc("PUT /volumes/{handle}/fences/{node}", change(func(r *http.Request, body fence) error {
		if body.Fenced {
			return s.cluster.Fence(r.PathValue("handle"), r.PathValue("node"))
		}
		return s.cluster.Unfence(r.PathValue("handle"), r.PathValue("node"))
	}))
	mux.HandleFunc("PUT /faults/api", change(func(_ *http.Request, body APIFault) error {
		return s.cluster.SetAPI(body.Down, body.Delay.Duration)
	}))
	mux.HandleFunc("PUT /faults/publisher", change(func(_ *http.Request, body PublisherFault) error {
		s.cluster.SetPublisher(body.Silent)
		return nil
	}))
	mux.HandleFunc("PUT /faults/snapshots", change(func(_ *http.Request, body SnapshotFault) error {
		return s.cluster.SetSnapshots(cluster.SnapshotFaults{
			Volumes: body.Volumes, Fail: body.Fail, CutDelay: body.CutDelay.Duration, ReadyDelay: body.Delay.Duration,
			Skew: body.Skew.Duration, NoSize: body.NoSize,
		})
	}))
	return mux
}

func (s *Server) faults() Faults {
	f := s.cluster.Faults()
	return Faults{
		API:       APIFault{Down: f.APIDown, Delay: metav1.Duration{Duration: f.APIDelay}},
		Publisher: PublisherFault{Silent: f.PublisherSilent},
		Snapshots: SnapshotFault{
			Volumes: f.Snapshots.Volumes, Fail: f.Snapshots.Fail, CutDelay: metav1.Duration{Duration: f.Snapshots.CutDelay},
			Delay: metav1.Duration{Duration: f.Snapshots.ReadyDelay}, Skew: metav1.Duration{Duration: f.Snapshots.Skew},
			NoSize: f.Snapshots.NoSize,
		},
	}
}

func (s *Server) volumes() []Volume {
	volumes := s.cluster.Volumes()
	views := make([]Volume, 0, len(volumes))
	for _, v := range volumes {
		views = append(views, Volume{Volume: v, Directory: s.content.VolumeDir(v.Handle)})
	}
	return views
}

func (s *Server) snapshots() []Snapshot {
	snapshots := s.cluster.Snapshots()
	views := make([]Snapshot, 0, len(snapshots))
	for _, snapshot := range snapshots {
		views = append(views, Snapshot{Snapshot: snapshot, Directory: s.content.SnapshotDir(snapshot.ID)})
	}
	return views
}

// answer serves what read returns.
func answer[T any](read func() T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { respond(w, r, http.StatusOK, read()) }
}

// change decodes the body strictly and applies it.
func change[T any](apply func(*http.Request, T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body T
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBodyBytes))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&body); err != nil {
			respond(w, r, http.StatusBadRequest, failure{Error: "reading the body: " + err.Error()})
			return
		}
		act(func(r *http.Request) error { return apply(r, body) })(w, r)
	}
}

// act applies a change that needs no body.
func act(apply func(*http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := apply(r); err != nil {
			respond(w, r, statusOf(cluster.ReasonOf(err)), failure{Error: err.Error()})
			return
		}
		klog.FromContext(r.Context()).V(2).Info("Changed by the admin API", "method", r.Method, "path", r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	}
}

func respond(w http.ResponseWriter, r *http.Request, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		klog.FromContext(r.Context()).Info("Could not answer an admin request", "path", r.URL.Path, "err", err)
	}
}

func statusOf(reason cluster.Reason) int {
	switch reason {
	case cluster.Invalid, cluster.OutOfRange:
		return http.StatusBadRequest
	case cluster.NotFound:
		return http.StatusNotFound
	case cluster.Exists, cluster.Exhausted, cluster.Precondition:
		return http.StatusConflict
	default:
		return http.StatusInternalServerError
	}
}
