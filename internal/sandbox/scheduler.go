// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	// SchedulerName is our scheduler's profile in the shipped configuration.
	SchedulerName = "roost"
	// StockSchedulerName is the scheduler of Kubernetes.
	StockSchedulerName = "default-scheduler"

	// roostNamespace is where Roost runs.
	roostNamespace   = "roost-system"
	schedulerProgram = "roost-scheduler"
	stockProgram     = "kube-scheduler"

	// readyTimeout is how long a program may take until it says that it is ready.
	readyTimeout = time.Minute
	// openPaths are what a program serves without asking who is there. It listens on loopback.
	openPaths = "--authorization-always-allow-paths=/healthz,/livez,/readyz,/metrics"
	// securePort is the flag for where it serves them.
	securePort = "--secure-port="
)

// StartScheduler starts our scheduler with a KubeSchedulerConfiguration in YAML, or the shipped one where config is empty,
// and waits until it is ready. Its identity is the service account of the shipped manifests with the role that they give.
func (s *Sandbox) StartScheduler(ctx context.Context, config string) error {
	kubeconfig, err := s.serviceAccount(ctx, "scheduler", schedulerProgram, schedulerProgram)
	if err != nil {
		return err
	}
	content, err := s.configOr(config, "scheduler", "scheduler-config.yaml")
	if err != nil {
		return err
	}
	path, err := s.writeLocalConfig(schedulerProgram, content, schedulerSettings(kubeconfig))
	if err != nil {
		return err
	}
	return s.startServing(ctx, "readyz", programSpec{name: schedulerProgram, path: "kube-scheduler", args: []string{"--config=" + path}})
}

func schedulerSettings(kubeconfig string) []setting {
	return []setting{
		{value: kubeconfig, path: []string{"clientConnection", "kubeconfig"}},
		{value: false, path: []string{"leaderElection", "leaderElect"}},
	}
}

// StopScheduler stops our scheduler, where it runs.
func (s *Sandbox) StopScheduler() { s.end(s.program(schedulerProgram)) }

// SchedulerLog is the path of our scheduler's log. A scheduler that is started again appends to it.
func (s *Sandbox) SchedulerLog() string { return s.LogPath(schedulerProgram) }

// serviceAccount applies the role of one of our components and returns the path of a kubeconfig, written to the file with
// the given name, for the component's service account.
func (s *Sandbox) serviceAccount(ctx context.Context, component, account, file string) (string, error) {
	roles, err := filepath.Glob(filepath.Join(s.opts.ManifestsDir, "components", component, "rbac*.yaml"))
	if err != nil || len(roles) == 0 {
		return "", fmt.Errorf("no roles for %s in %s", account, s.opts.ManifestsDir)
	}
	for _, file := range roles {
		if err := s.apply(ctx, file); err != nil {
			return "", err
		}
	}
	_, path, err := s.addUser(file, envtest.User{
		Name:   "system:serviceaccount:" + roostNamespace + ":" + account,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + roostNamespace},
	})
	return path, err
}

func (s *Sandbox) startStockScheduler(ctx context.Context) error {
	return s.startServing(ctx, "readyz", programSpec{name: stockProgram, path: "k8s/kube-scheduler", args: []string{
		"--kubeconfig=" + s.Kubeconfig,
		"--leader-elect=false",
	}})
}

func (s *Sandbox) startControllerManager(ctx context.Context) error {
	return s.startServing(ctx, "healthz", programSpec{
		name: "kube-controller-manager", path: "k8s/kube-controller-manager", args: s.controllerManagerFlags(),
	})
}

// controllerManagerFlags leave node monitoring, eviction and attach-detach as Kubernetes has them: what we measure here is
// compared with a stock cluster.
func (s *Sandbox) controllerManagerFlags() []string {
	return []string{
		"--kubeconfig=" + s.Kubeconfig,
		"--leader-elect=false",
		"--service-account-private-key-file=" + s.dir.path("certs", "sa-signer.key"),
		// The default of 20 a second is for a cluster with many other clients.
		"--kube-api-qps=200", "--kube-api-burst=400",
	}
}

// startServing starts a program of Kubernetes on a free port and waits until its health endpoint says that it is ready.
func (s *Sandbox) startServing(ctx context.Context, health string, spec programSpec) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	spec.args = append(spec.args, "--bind-address=127.0.0.1", securePort+strconv.Itoa(port),
		"--cert-dir="+s.dir.path("certs", spec.name), "--authentication-skip-lookup", openPaths)
	client, url := selfSigned(), fmt.Sprintf("https://127.0.0.1:%d/%s", port, health)
	return s.startAndWait(ctx, spec, func() bool { return answers(ctx, client, url) })
}

// selfSigned asks a program for what it serves. The certificate is one that the program has just made for itself.
func selfSigned() *http.Client {
	return &http.Client{Timeout: time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
}

func answers(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
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
