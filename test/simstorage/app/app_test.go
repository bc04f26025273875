// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"roost.dev/roost/test/simstorage/admin"
)

// options are good ones, with an API server that refuses everything.
func options(t *testing.T) *Options {
	t.Helper()
	api := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(api.Close)
	dir, err := os.MkdirTemp("", "sim") //nolint:usetesting // a socket's path is limited to about 100 bytes, which t.TempDir can exceed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	kubeconfig := filepath.Join(dir, "kubeconfig")
	content := fmt.Sprintf(`
apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: %q}}]
users: [{name: u, user: {}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
`, api.URL)
	if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	o := NewOptions()
	o.Kubeconfig, o.CSIAddress, o.AdminAddressFile = kubeconfig, filepath.Join(dir, "csi.sock"), filepath.Join(dir, "admin")
	return o
}

func TestRunServesAndLeavesNothingBehind(t *testing.T) {
	o := options(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, o) }()

	var address []byte
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		var err error
		address, err = os.ReadFile(o.AdminAddressFile)
		return err == nil, nil
	})
	if err != nil {
		t.Fatal("the admin address was never written")
	}
	if _, err := admin.NewClient(string(address)).Nodes(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(o.CSIAddress); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	for _, path := range []string{o.AdminAddressFile, o.CSIAddress} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is left behind: %v", path, err)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Options)
		words  []string
	}{
		"no CSI address":             {func(o *Options) { o.CSIAddress = "" }, []string{"--csi-address"}},
		"no kubeconfig there":        {func(o *Options) { o.Kubeconfig = "/nowhere" }, []string{"--kubeconfig", "/nowhere"}},
		"a capacity of no number":    {func(o *Options) { o.PoolCapacity = "large" }, []string{"--pool-capacity", `"large"`, "500Gi"}},
		"a capacity of nothing":      {func(o *Options) { o.PoolCapacity = "0" }, []string{"pool capacity", "0"}},
		"a heartbeat too slow":       {func(o *Options) { o.Heartbeat = time.Hour }, []string{"heartbeat", "1h0m0s", "1m0s"}},
		"an admin address for all":   {func(o *Options) { o.AdminAddress = "0.0.0.0:0" }, []string{"admin address", "0.0.0.0:0", "loopback"}},
		"a data directory in use":    {func(o *Options) { o.DataDir = filepath.Dir(o.Kubeconfig) }, []string{"--data-dir", "not empty"}},
		"an address file in nowhere": {func(o *Options) { o.AdminAddressFile = "/nowhere/file" }, []string{"--admin-address-file", "/nowhere"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			tc.change(o)
			err := Run(t.Context(), o)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, word := range tc.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("error %q does not say %q", err, word)
				}
			}
			if _, err := os.Stat(o.CSIAddress); o.CSIAddress != "" && !os.IsNotExist(err) {
				t.Errorf("the CSI socket is left behind: %v", err)
			}
		})
	}
}

func TestCommandRefusesArguments(t *testing.T) {
	command := NewCommand()
	command.SetArgs([]string{"surprise"})
	command.SilenceUsage, command.SilenceErrors = true, true
	if err := command.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "surprise") {
		t.Errorf("error = %v, want one that names the argument", err)
	}
}
