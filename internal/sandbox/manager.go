// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	// managerName is our controller manager's name: of its program in the sandbox, its service account and its lease.
	managerName = "roost-controller-manager"
	// managerComponent is the folder of its manifests.
	managerComponent = "controller-manager"
)

// ManagerOptions say how to start our controller manager. The zero value starts it as it is shipped.
type ManagerOptions struct {
	// Name tells managers apart that run at the same time. By default it is roost-controller-manager.
	Name string
	// Config is a ControllerManagerConfiguration in YAML, by default the shipped one. The sandbox puts its own kubeconfig
	// in, lets health and metrics be served in the open on loopback, and sets leader election as LeaderElection says.
	Config string
	// LeaderElection makes the manager wait until it leads.
	LeaderElection bool
	// Through, where it is set, stands between the manager and the API server. It is given the manager's own connection and
	// returns the URL that the manager talks to instead, without credentials. It is called once, before the manager starts.
	Through func(upstream *rest.Config) (serverURL string, err error)
}

// Manager is a controller manager of ours that was started.
type Manager struct {
	box     *Sandbox
	program *program
	health  string
	metrics string
}

// StartManager starts our controller manager and waits until it is ready, which with leader election does not mean that it
// leads. Its identity is the service account of the shipped manifests with the role that they give.
func (s *Sandbox) StartManager(ctx context.Context, opts ManagerOptions) (*Manager, error) {
	if opts.Name == "" {
		opts.Name = managerName
	}
	kubeconfig, err := s.serviceAccount(ctx, managerComponent, managerName, opts.Name)
	if err != nil {
		return nil, err
	}
	if opts.Through != nil {
		if err := reroute(kubeconfig, opts.Through); err != nil {
			return nil, err
		}
	}
	config, err := s.configOr(opts.Config, managerComponent, "manager-config.yaml")
	if err != nil {
		return nil, err
	}
	m := &Manager{box: s}
	if m.health, err = loopbackAddress(); err != nil {
		return nil, err
	}
	if m.metrics, err = loopbackAddress(); err != nil {
		return nil, err
	}
	path, err := s.writeLocalConfig(opts.Name, config, m.settings(kubeconfig, opts.LeaderElection))
	if err != nil {
		return nil, err
	}
	probe := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	spec := programSpec{name: opts.Name, path: "controller-manager", args: []string{"--config=" + path}}
	if m.program, err = s.launch(ctx, spec, func() bool { return answers(ctx, probe, "http://"+m.health+"/readyz") }); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Manager) settings(kubeconfig string, leaderElection bool) []setting {
	return []setting{
		{value: kubeconfig, path: []string{"clientConnection", "kubeconfig"}},
		{value: leaderElection, path: []string{"leaderElection", "leaderElect"}},
		{value: m.health, path: []string{"health", "bindAddress"}},
		{value: m.metrics, path: []string{"metrics", "bindAddress"}},
		{value: false, path: []string{"metrics", "secure"}},
	}
}

// reroute has a kubeconfig lead to where through says, and nowhere else.
func reroute(kubeconfig string, through func(*rest.Config) (string, error)) error {
	upstream, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the manager's kubeconfig: %w", err)
	}
	server, err := through(upstream)
	if err != nil {
		return fmt.Errorf("standing between the manager and the API server: %w", err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["through"] = &clientcmdapi.Cluster{Server: server}
	config.Contexts["through"] = &clientcmdapi.Context{Cluster: "through"}
	config.CurrentContext = "through"
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		return fmt.Errorf("writing the manager's kubeconfig: %w", err)
	}
	return nil
}

func loopbackAddress() (string, error) {
	port, err := freePort()
	return "127.0.0.1:" + strconv.Itoa(port), err
}

// Stop ends the manager by SIGTERM and waits until it is gone. It may have ended already.
func (m *Manager) Stop() { m.box.end(m.program) }

// Kill ends the manager by SIGKILL and waits until it is gone. That is no failure of the sandbox.
func (m *Manager) Kill() {
	m.box.forget(m.program)
	m.program.kill()
}

// Log is the path of the manager's log. One that is started again with the same name appends to it.
func (m *Manager) Log() string { return m.program.logPath }

// MetricsURL is where the manager serves its metrics.
func (m *Manager) MetricsURL() string { return "http://" + m.metrics + "/metrics" }
