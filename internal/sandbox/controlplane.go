// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	etcdName      = "etcd"
	apiServerName = "kube-apiserver"
	// controlPlaneStart is how long etcd and the API server may each take on a slow and busy machine.
	controlPlaneStart = 90 * time.Second
	// alivePoll is how soon the end of etcd or the API server is noticed. Envtest does not tell.
	alivePoll = 500 * time.Millisecond
)

const launcherScript = `#!/bin/sh
[ "$1" = --help ] && exit
echo $$ >%[2]s
echo "$@" >%[3]s
exec %[1]s "$@" >>%[4]s 2>&1
`

// controlPlane is etcd and the API server.
type controlPlane struct {
	dir   directory
	plane *envtest.ControlPlane
	// halt ends the goroutine that watches the two processes.
	halt context.CancelFunc
}

// startControlPlane returns once the API server is healthy. died is called, from another goroutine, where one of the two
// ends without having been stopped. ctx ends the wait, not the processes.
func startControlPlane(ctx context.Context, dir directory, opts Options, died func(error)) (*controlPlane, error) {
	etcd, apiServer := &envtest.Etcd{DataDir: dir.path("etcd")}, &envtest.APIServer{CertDir: dir.path("certs")}
	etcd.StartTimeout, apiServer.StartTimeout = controlPlaneStart, controlPlaneStart
	etcd.StopTimeout, apiServer.StopTimeout = stopGrace, stopGrace
	etcd.Configure().Set("unsafe-no-fsync", "true")
	var err error
	if opts.has(Kwok) {
		if err = trustKubelets(dir, apiServer); err != nil {
			return nil, err
		}
	}
	if etcd.Path, err = writeLauncher(dir, etcdName, opts.program("k8s/etcd")); err != nil {
		return nil, err
	}
	if apiServer.Path, err = writeLauncher(dir, apiServerName, opts.program("k8s/kube-apiserver")); err != nil {
		return nil, err
	}
	c := &controlPlane{dir: dir, plane: &envtest.ControlPlane{Etcd: etcd, APIServer: apiServer}, halt: func() {}}
	started := make(chan error, 1)
	go func() { started <- c.plane.Start() }()
	select {
	case err = <-started:
	case <-ctx.Done():
		c.killBoth()
		err = errors.Join(ctx.Err(), <-started)
	}
	if err != nil {
		err = fmt.Errorf("%w%s", err, c.whoFailed())
		c.stop()
		return nil, err
	}
	watch, halt := context.WithCancel(context.WithoutCancel(ctx))
	c.halt = halt
	go c.watch(watch, died)
	return c, nil
}

// writeLauncher makes a script for envtest to start in a program's place. It notes the process id, which envtest keeps to
// itself, and the arguments, and sends the output to the program's log. Envtest asks for help first, to find flags that no
// version of ours has; an empty answer saves two starts of large programs.
func writeLauncher(dir directory, name, program string) (string, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", name, err)
	}
	script := fmt.Sprintf(launcherScript, quote(program), quote(dir.pidFile(name)), quote(dir.arguments(name)), quote(dir.log(name)))
	path := dir.path("launch-" + name)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		return "", fmt.Errorf("writing the launcher of %s: %w", name, err)
	}
	return path, nil
}

// quote makes a shell word.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

func (d directory) arguments(program string) string { return d.path("launch-" + program + ".args") }

// addUser returns the configuration of a client certificate for a user.
func (c *controlPlane) addUser(user envtest.User) (*rest.Config, []byte, error) {
	// The defaults of client-go would make a start with hundreds of nodes take minutes.
	added, err := c.plane.AddUser(user, &rest.Config{QPS: 1000, Burst: 2000})
	if err != nil {
		return nil, nil, fmt.Errorf("adding user %s: %w", user.Name, err)
	}
	kubeconfig, err := added.KubeConfig()
	if err != nil {
		return nil, nil, fmt.Errorf("writing the kubeconfig of user %s: %w", user.Name, err)
	}
	return added.Config(), kubeconfig, nil
}

// watch reports the first of the two processes that ends.
func (c *controlPlane) watch(ctx context.Context, died func(error)) {
	_ = wait.PollUntilContextCancel(ctx, alivePoll, false, func(context.Context) (bool, error) {
		for _, name := range []string{etcdName, apiServerName} {
			if !c.alive(name) {
				// The number may be another process's from now on.
				_ = os.Remove(c.dir.pidFile(name))
				died(fmt.Errorf("%s has ended%s", name, logTail(c.dir.log(name))))
				return true, nil
			}
		}
		return false, nil
	})
}

func (c *controlPlane) pid(name string) (int, bool) {
	content, err := os.ReadFile(c.dir.pidFile(name))
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	return pid, err == nil && pid > 1
}

func (c *controlPlane) alive(name string) bool {
	pid, ok := c.pid(name)
	return ok && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// whoFailed is the end of the log of the process that did not come up, which is the last one that was started.
func (c *controlPlane) whoFailed() string {
	if _, ok := c.pid(apiServerName); ok {
		return logTail(c.dir.log(apiServerName))
	}
	return logTail(c.dir.log(etcdName))
}

// stop ends both and waits until they are gone. Where envtest has given up on one, or has not waited for it, it is killed.
func (c *controlPlane) stop() {
	c.halt()
	_ = c.plane.Stop()
	c.killBoth()
	c.freePorts()
}

func (c *controlPlane) killBoth() {
	for _, name := range []string{apiServerName, etcdName} {
		if pid, ok := c.pid(name); ok && c.alive(name) {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
	}
	// Envtest reaps them; a process that SIGKILL does not end within that time hangs in the kernel.
	poll, giveUp := time.NewTicker(20*time.Millisecond), time.After(stopGrace)
	defer poll.Stop()
	for c.alive(apiServerName) || c.alive(etcdName) {
		select {
		case <-poll.C:
		case <-giveUp:
			return
		}
	}
}

var loopbackPort = regexp.MustCompile(`(?:https?://127\.0\.0\.1:|--secure-port=)(\d+)`)

// freePorts removes the files by which envtest reserves ports for two minutes. It keeps them outside the sandbox's
// directory, and leaves them there. The folder that they are in must stay: every program with envtest needs it.
func (c *controlPlane) freePorts() {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	for _, name := range []string{etcdName, apiServerName} {
		arguments, _ := os.ReadFile(c.dir.arguments(name))
		for _, match := range loopbackPort.FindAllSubmatch(arguments, -1) {
			_ = os.Remove(filepath.Join(cache, "kubebuilder-envtest", "port-"+string(match[1])))
		}
	}
}
