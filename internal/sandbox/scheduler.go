// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"
)

const (
	// SchedulerName is our scheduler's profile in the shipped configuration.
	SchedulerName = "roost"
	// StockSchedulerName is the scheduler of Kubernetes.
	StockSchedulerName = "default-scheduler"

	schedulerNamespace = "roost-system"
	schedulerProgram   = "roost-scheduler"
	stockProgram       = "kube-scheduler"

	// readyTimeout is how long a program may take until it says that it is ready.
	readyTimeout = time.Minute
	// openPaths are what a program serves without asking who is there. It listens on loopback.
	openPaths = "--authorization-always-allow-paths=/healthz,/livez,/readyz,/metrics"
)

// StartScheduler starts our scheduler with a KubeSchedulerConfiguration in YAML, or the shipped one where config is empty,
// and waits until it is ready. Its identity is the service account of the shipped manifests with the role that they give.
func (s *Sandbox) StartScheduler(ctx context.Context, config string) error {
	kubeconfig, err := s.schedulerKubeconfig(ctx)
	if err != nil {
		return err
	}
	if config == "" {
		shipped, err := os.ReadFile(filepath.Join(s.opts.ManifestsDir, "components", "scheduler", "scheduler-config.yaml"))
		if err != nil {
			return fmt.Errorf("reading the shipped configuration of the scheduler: %w", err)
		}
		config = string(shipped)
	}
	local, err := localConfig([]byte(config), kubeconfig)
	if err != nil {
		return err
	}
	path := s.dir.path("roost-scheduler.yaml")
	if err := os.WriteFile(path, local, 0o600); err != nil {
		return fmt.Errorf("writing the configuration of the scheduler: %w", err)
	}
	return s.startServing(ctx, "readyz", programSpec{name: schedulerProgram, path: "kube-scheduler", args: []string{"--config=" + path}})
}

// StopScheduler stops our scheduler, where it runs.
func (s *Sandbox) StopScheduler() { s.end(schedulerProgram) }

// SchedulerLog is the path of our scheduler's log. A scheduler that is started again appends to it.
func (s *Sandbox) SchedulerLog() string { return s.LogPath(schedulerProgram) }

// schedulerKubeconfig is for the service account of the shipped manifests, where there are any.
func (s *Sandbox) schedulerKubeconfig(ctx context.Context) (string, error) {
	shipped, err := s.apply(ctx, filepath.Join(s.opts.ManifestsDir, "components", "scheduler", "rbac.yaml"))
	if err != nil {
		return "", err
	}
	if !shipped {
		return s.Kubeconfig, nil
	}
	_, path, err := s.addUser(schedulerProgram, envtest.User{
		Name:   "system:serviceaccount:" + schedulerNamespace + ":roost-scheduler",
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + schedulerNamespace},
	})
	return path, err
}

// localConfig makes a scheduler's configuration fit for the sandbox: with a kubeconfig, and without leader election.
func localConfig(config []byte, kubeconfig string) ([]byte, error) {
	object := map[string]any{}
	if err := yaml.Unmarshal(config, &object); err != nil {
		return nil, fmt.Errorf("reading the scheduler's configuration: %w", err)
	}
	for _, set := range []struct {
		value any
		path  []string
	}{
		{value: kubeconfig, path: []string{"clientConnection", "kubeconfig"}},
		{value: false, path: []string{"leaderElection", "leaderElect"}},
	} {
		if err := unstructured.SetNestedField(object, set.value, set.path...); err != nil {
			return nil, fmt.Errorf("changing the scheduler's configuration: %w", err)
		}
	}
	local, err := yaml.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("writing the scheduler's configuration: %w", err)
	}
	return local, nil
}

func (s *Sandbox) startStockScheduler(ctx context.Context) error {
	return s.startServing(ctx, "readyz", programSpec{name: stockProgram, path: "k8s/kube-scheduler", args: []string{
		"--kubeconfig=" + s.Kubeconfig,
		"--leader-elect=false",
	}})
}

func (s *Sandbox) startControllerManager(ctx context.Context) error {
	return s.startServing(ctx, "healthz", programSpec{name: "kube-controller-manager", path: "k8s/kube-controller-manager", args: []string{
		"--kubeconfig=" + s.Kubeconfig,
		"--leader-elect=false",
		"--service-account-private-key-file=" + s.dir.path("certs", "sa-signer.key"),
		// The default of 20 a second is for a cluster with many other clients.
		"--kube-api-qps=200", "--kube-api-burst=400",
	}})
}

// startServing starts a program of Kubernetes on a free port and waits until its health endpoint says that it is ready.
func (s *Sandbox) startServing(ctx context.Context, health string, spec programSpec) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	spec.args = append(spec.args, "--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(port),
		"--cert-dir="+s.dir.path("certs", spec.name), "--authentication-skip-lookup", openPaths)
	// The certificate is one that the program has just made for itself.
	probe := &http.Client{Timeout: time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	url := fmt.Sprintf("https://127.0.0.1:%d/%s", port, health)
	return s.startAndWait(ctx, spec, func() bool { return answers(ctx, probe, url) })
}

func answers(ctx context.Context, probe *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := probe.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
