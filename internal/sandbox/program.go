// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// stopGrace is how long a program may take to end by itself. There is nothing to save: its files are removed.
	stopGrace = 5 * time.Second
	// readyPoll is how often a program is asked whether it is ready.
	readyPoll = 50 * time.Millisecond
	// tailLines is how much of a program's log an error shows.
	tailLines = 12
)

// program is a child process. It is in a process group of its own, so that a Ctrl-C in the terminal does not end it before
// we do, in order.
type program struct {
	name    string
	logPath string
	cmd     *exec.Cmd

	// done is closed when the process has ended.
	done     chan struct{}
	err      error
	stopping atomic.Bool
}

// programSpec says how to start a program.
type programSpec struct {
	name string
	path string
	args []string
	// env are settings of the environment, NAME=value.
	env []string
}

// startProgram starts a child process that writes to a log of its own, and notes its process id for the watchdog.
func startProgram(dir directory, spec programSpec) (*program, error) {
	p := &program{name: spec.name, logPath: dir.log(spec.name), done: make(chan struct{})}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", spec.name, err)
	}
	defer log.Close()
	p.cmd = exec.Command(spec.path, spec.args...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = log, log, string(dir)
	// Nothing else of our environment: a user's KUBECONFIG would lead a program to another cluster.
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + string(dir)}
	p.cmd.Env = append(p.cmd.Env, spec.env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", spec.name, err)
	}
	pidFile := dir.pidFile(spec.name)
	noted := os.WriteFile(pidFile, []byte(strconv.Itoa(p.cmd.Process.Pid)), 0o600)
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
		// What it has started and not ended, of its own group, goes with it.
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		_ = os.Remove(pidFile)
	}()
	if noted != nil {
		p.stop()
		return nil, fmt.Errorf("noting the process id of %s: %w", spec.name, noted)
	}
	return p, nil
}

// waitUntil polls a condition. It ends early where the process does.
func (p *program) waitUntil(ctx context.Context, timeout time.Duration, condition func() bool) error {
	err := wait.PollUntilContextTimeout(ctx, readyPoll, timeout, true, func(context.Context) (bool, error) {
		select {
		case <-p.done:
			return false, p.exitError()
		default:
			return condition(), nil
		}
	})
	if wait.Interrupted(err) {
		return fmt.Errorf("waiting for %s to be ready: %w%s", p.name, err, logTail(p.logPath))
	}
	return err
}

// reportDeath calls died, from another goroutine, where the process ends without having been stopped.
func (p *program) reportDeath(died func(error)) {
	go func() {
		<-p.done
		if !p.stopping.Load() {
			died(p.exitError())
		}
	}()
}

// exitError describes the end of a process that should not have ended.
func (p *program) exitError() error {
	reason := "ended without an error"
	if exit := (*exec.ExitError)(nil); errors.As(p.err, &exit) {
		reason = "ended with " + exit.String()
	} else if p.err != nil {
		reason = "ended: " + p.err.Error()
	}
	return fmt.Errorf("%s %s%s", p.name, reason, logTail(p.logPath))
}

// stop ends the process and waits until it is gone.
func (p *program) stop() {
	p.stopping.Store(true)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-p.done:
	case <-grace.C:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

// kill ends the process as a crash would, and waits until it is gone.
func (p *program) kill() {
	p.stopping.Store(true)
	_ = p.cmd.Process.Kill()
	<-p.done
}

// logTail is the end of a log, ready to stand in an error message.
func logTail(path string) string {
	content, err := os.ReadFile(path)
	text := strings.TrimSpace(string(content))
	if err != nil || text == "" {
		return "; its log is empty"
	}
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	return "; the end of its log:\n  " + strings.Join(lines, "\n  ")
}

// directory is where a sandbox keeps everything.
type directory string

func (d directory) path(elements ...string) string {
	return filepath.Join(append([]string{string(d)}, elements...)...)
}

func (d directory) log(program string) string        { return d.path("logs", program+".log") }
func (d directory) pidFile(program string) string    { return d.path("pids", program) }
func (d directory) kubeconfig(program string) string { return d.path(program + ".kubeconfig") }

// newDirectory makes the sandbox's directory, which must not exist or be empty.
func newDirectory(path string) (directory, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("finding directory %q: %w", path, err)
	}
	if entries, err := os.ReadDir(path); err == nil && len(entries) > 0 {
		return "", fmt.Errorf("directory %s is not empty, must be a new one: it is removed in the end", path)
	}
	for _, sub := range []string{"logs", "pids", "etcd", "certs"} {
		if err := os.MkdirAll(filepath.Join(path, sub), 0o700); err != nil {
			return "", fmt.Errorf("making the sandbox's directory: %w", err)
		}
	}
	return directory(path), nil
}
