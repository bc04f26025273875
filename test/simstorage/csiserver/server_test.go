// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package csiserver

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	clocktesting "k8s.io/utils/clock/testing"

	"roost.dev/roost/test/simstorage/cluster"
	"roost.dev/roost/test/simstorage/content"
)

const (
	gib  = int64(1) << 30
	pool = 100 * gib
)

// harness is a driver on a real socket, with the nodes n1, n2 and n3.
type harness struct {
	csi.ControllerClient
	identity csi.IdentityClient
	groups   csi.GroupControllerClient
	// data is the data directory.
	data   string
	server *Server
	model  *cluster.Cluster
	clock  *clocktesting.FakeClock
	ready  atomic.Bool
	path   string
	// stop ends the server and returns what Serve returned.
	stop func() error
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	h := &harness{clock: clocktesting.NewFakeClock(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC))}
	model, err := cluster.New(cluster.Options{Clock: h.clock, PoolCapacity: pool})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"n1", "n2", "n3"} {
		model.SetNode(name, map[string]string{corev1.LabelHostname: name + ".host"}, true)
	}
	h.model = model
	h.ready.Store(true)
	h.data = filepath.Join(t.TempDir(), "data")
	store, err := content.Open(h.data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	h.server = New(Options{Cluster: model, Clock: h.clock, Ready: h.ready.Load, Content: store})
	dir, err := os.MkdirTemp("", "csi") //nolint:usetesting // a socket's path is limited to about 100 bytes, which t.TempDir can exceed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h.path = filepath.Join(dir, "csi.sock")
	h.serve(t)
	return h
}

func (h *harness) serve(t *testing.T) {
	t.Helper()
	listener, err := Listen("unix://" + h.path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(ctx, listener) }()
	conn, err := grpc.NewClient("unix://"+h.path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = conn.Close()
	})
	h.ControllerClient, h.identity, h.groups = csi.NewControllerClient(conn), csi.NewIdentityClient(conn), csi.NewGroupControllerClient(conn)
	h.stop = func() error {
		cancel()
		return <-served
	}
}

func mount(mode csi.VolumeCapability_AccessMode_Mode) *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{FsType: "ext4"}},
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: mode},
	}
}

func createRequest(name string) *csi.CreateVolumeRequest {
	return &csi.CreateVolumeRequest{
		Name:               name,
		CapacityRange:      &csi.CapacityRange{RequiredBytes: gib},
		VolumeCapabilities: []*csi.VolumeCapability{mount(csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER)},
	}
}

func (h *harness) create(t *testing.T, name string) *csi.Volume {
	t.Helper()
	response, err := h.CreateVolume(t.Context(), createRequest(name))
	if err != nil {
		t.Fatal(err)
	}
	return response.GetVolume()
}

func wantCode(t *testing.T, err error, code codes.Code, words ...string) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("error = %v, want code %s", err, code)
	}
	for _, word := range words {
		if !strings.Contains(status.Convert(err).Message(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

func TestIdentity(t *testing.T) {
	h := newHarness(t)
	info, err := h.identity.GetPluginInfo(t.Context(), &csi.GetPluginInfoRequest{})
	if err != nil || info.GetName() != "sim.roost.dev" || info.GetVendorVersion() == "" {
		t.Errorf("GetPluginInfo = %v, %v", info, err)
	}
	capabilities, err := h.identity.GetPluginCapabilities(t.Context(), &csi.GetPluginCapabilitiesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var services []string
	for _, capability := range capabilities.GetCapabilities() {
		if service := capability.GetService(); service != nil {
			services = append(services, service.GetType().String())
		}
	}
	if diff := cmp.Diff([]string{"CONTROLLER_SERVICE", "GROUP_CONTROLLER_SERVICE", "VOLUME_ACCESSIBILITY_CONSTRAINTS"}, services); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}

func TestNotReadyUntilTheNodesAreKnown(t *testing.T) {
	h := newHarness(t)
	h.ready.Store(false)
	probe, err := h.identity.Probe(t.Context(), &csi.ProbeRequest{})
	if err != nil || probe.GetReady().GetValue() {
		t.Errorf("Probe = %v, %v, want not ready", probe, err)
	}
	// ResourceExhausted would make the provisioner give up on the selected node.
	_, err = h.CreateVolume(t.Context(), createRequest("v"))
	wantCode(t, err, codes.Unavailable, "nodes")
	h.ready.Store(true)
	probe, err = h.identity.Probe(t.Context(), &csi.ProbeRequest{})
	if err != nil || !probe.GetReady().GetValue() {
		t.Errorf("Probe = %v, %v, want ready", probe, err)
	}
	h.create(t, "v")
}

func TestStorageAPIDown(t *testing.T) {
	h := newHarness(t)
	if err := h.model.SetAPI(true, 0); err != nil {
		t.Fatal(err)
	}
	_, err := h.CreateVolume(t.Context(), createRequest("v"))
	wantCode(t, err, codes.Unavailable, "down")
	_, err = h.ListVolumes(t.Context(), &csi.ListVolumesRequest{})
	wantCode(t, err, codes.Unavailable)
	if _, err := h.ControllerGetCapabilities(t.Context(), &csi.ControllerGetCapabilitiesRequest{}); err != nil {
		t.Errorf("the driver's own answer failed with the storage: %v", err)
	}
	if _, err := h.identity.Probe(t.Context(), &csi.ProbeRequest{}); err != nil {
		t.Errorf("the probe failed with the storage: %v", err)
	}
	if got := h.model.Volumes(); len(got) != 0 {
		t.Errorf("volumes = %v after a call that failed", got)
	}
	if err := h.model.SetAPI(false, 0); err != nil {
		t.Fatal(err)
	}
	h.create(t, "v")
}

func TestStorageAPISlow(t *testing.T) {
	h := newHarness(t)
	if err := h.model.SetAPI(false, time.Minute); err != nil {
		t.Fatal(err)
	}
	t.Run("a call takes as long as it takes", func(t *testing.T) {
		done := make(chan error, 1)
		go func() {
			_, err := h.CreateVolume(t.Context(), createRequest("v"))
			done <- err
		}()
		h.waitForWaiter(t)
		if got := len(h.model.Volumes()); got != 0 {
			t.Errorf("%d volumes before the delay is over", got)
		}
		h.clock.Step(time.Minute)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("a caller that gives up is let go", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := h.CreateVolume(ctx, createRequest("other"))
		wantCode(t, err, codes.DeadlineExceeded)
	})
	t.Run("stopping ends calls that wait", func(t *testing.T) {
		done := make(chan error, 1)
		go func() {
			_, err := h.CreateVolume(t.Context(), createRequest("third"))
			done <- err
		}()
		h.waitForCalls(t, "CreateVolume", 3)
		if err := h.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
		wantCode(t, <-done, codes.Unavailable)
		if _, err := os.Stat(h.path); !os.IsNotExist(err) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
}

func (h *harness) waitForWaiter(t *testing.T) {
	t.Helper()
	eventually(t, h.clock.HasWaiters)
}

func (h *harness) waitForCalls(t *testing.T, name string, count int64) {
	t.Helper()
	eventually(t, func() bool { return h.server.Calls()[name] == count })
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		return condition(), nil
	})
	if err != nil {
		t.Fatal("it did not happen in 10 seconds")
	}
}

func TestCallsAreCounted(t *testing.T) {
	h := newHarness(t)
	if diff := cmp.Diff(map[string]int64{}, h.server.Calls()); diff != "" {
		t.Errorf("calls at the start (-want +got):\n%s", diff)
	}
	h.create(t, "v")
	h.create(t, "v")
	_, err := h.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{})
	wantCode(t, err, codes.InvalidArgument, "volume_id")
	if diff := cmp.Diff(map[string]int64{"CreateVolume": 2, "DeleteVolume": 1}, h.server.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestListen(t *testing.T) {
	h := newHarness(t)
	if _, err := Listen(h.path); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("listening beside a live server: %v, want in use", err)
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	h.serve(t) // takes the place of the dead socket
	h.create(t, "v")

	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("listening over a file: %v, want a refusal", err)
	}
}
