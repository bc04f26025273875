// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// within is how long a test waits for what takes milliseconds.
const within = 10 * time.Second

func testDirectory(t *testing.T) directory {
	t.Helper()
	dir, err := newDirectory(filepath.Join(t.TempDir(), "sandbox"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func shell(name, script string) programSpec {
	return programSpec{name: name, path: "/bin/sh", args: []string{"-c", script}}
}

func TestProgramThatDiesIsReportedWithItsLog(t *testing.T) {
	died := make(chan error, 1)
	p, err := startProgram(testDirectory(t), shell("victim", "echo so sad; exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	p.reportDeath(func(err error) { died <- err })
	select {
	case err := <-died:
		want := "victim ended with exit status 3; the end of its log:\n  so sad"
		if err.Error() != want {
			t.Errorf("death reported as %q, want %q", err, want)
		}
	case <-time.After(within):
		t.Fatal("death was not reported")
	}
}

func TestWaitingForAProgramEndsWhenItDies(t *testing.T) {
	p, err := startProgram(testDirectory(t), shell("victim", "echo no such flag; exit 2"))
	if err != nil {
		t.Fatal(err)
	}
	err = p.waitUntil(t.Context(), within, func() bool { return false })
	want := "victim ended with exit status 2; the end of its log:\n  no such flag"
	if err == nil || err.Error() != want {
		t.Errorf("waitUntil() = %v, want %q", err, want)
	}
}

func TestWaitingForAProgramThatIsNeverReady(t *testing.T) {
	p, err := startProgram(testDirectory(t), shell("sleeper", "exec sleep 600"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	err = p.waitUntil(t.Context(), 10*time.Millisecond, func() bool { return false })
	if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "waiting for sleeper to be ready") {
		t.Errorf("waitUntil() = %v, want a deadline that names the program", err)
	}
}

func TestProgramThatIsStoppedIsGoneAndNotReported(t *testing.T) {
	for name, script := range map[string]string{
		"ends at SIGTERM": "echo ready; exec sleep 600",
		"ignores SIGTERM": "trap '' TERM; echo ready; exec sleep 600",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, died := testDirectory(t), make(chan error, 1)
			p, err := startProgram(dir, shell("patient", script))
			if err != nil {
				t.Fatal(err)
			}
			p.reportDeath(func(err error) { died <- err })
			// It has set its traps once it has written to its log.
			ready := func() bool { return strings.Contains(logTail(p.logPath), "ready") }
			if err := p.waitUntil(t.Context(), within, ready); err != nil {
				t.Fatal(err)
			}
			p.stop()
			if err := syscall.Kill(-p.cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("its process group is still there: %v", err)
			}
			if exists(dir.pidFile("patient")) {
				t.Error("its process id is still noted, and may be another process's by now")
			}
			select {
			case err := <-died:
				t.Errorf("a stopped program was reported as dead: %v", err)
			default:
			}
		})
	}
}

func TestManagerThatIsKilledIsGoneAndNoFailure(t *testing.T) {
	s := &Sandbox{dir: testDirectory(t), programs: map[string]*program{}, failed: make(chan struct{})}
	start := func() *Manager {
		p, err := s.launch(t.Context(), shell("manager", "trap '' TERM; exec sleep 600"), func() bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		return &Manager{box: s, program: p}
	}
	first := start()
	first.Kill()
	if err := syscall.Kill(-first.program.cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("its process group is still there: %v", err)
	}
	second := start()
	first.Kill()
	first.Stop()
	if s.program("manager") != second.program {
		t.Error("ending the first manager again ended the second, which has its name")
	}
	second.Kill()
	if err := s.Err(); err != nil {
		t.Errorf("Err() = %v after a kill, want nil", err)
	}
}

func TestProgramDoesNotGetTheUsersEnvironment(t *testing.T) {
	t.Setenv("KUBECONFIG", "/of/another/cluster")
	dir := testDirectory(t)
	p, err := startProgram(dir, shell("curious", `echo "kubeconfig=$KUBECONFIG home=$HOME."; exec sleep 600`))
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	want := "kubeconfig= home=" + string(dir) + "."
	if err := p.waitUntil(t.Context(), within, func() bool { return strings.Contains(logTail(p.logPath), "home=") }); err != nil {
		t.Fatal(err)
	}
	if got := logTail(p.logPath); !strings.Contains(got, want) {
		t.Errorf("its environment is %q, want %q", got, want)
	}
}

func TestProgramDoesNotGetTheTerminalsSignals(t *testing.T) {
	p, err := startProgram(testDirectory(t), shell("child", "exec sleep 600"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	group, err := syscall.Getpgid(p.cmd.Process.Pid)
	if err != nil || group != p.cmd.Process.Pid {
		t.Errorf("process group is %d, %v, want its own", group, err)
	}
}

func TestWatchdogCleansUpWhenThePipeCloses(t *testing.T) {
	dir, died := testDirectory(t), make(chan error, 1)
	dog, err := startWatchdog(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := startProgram(dir, shell("orphan", "exec sleep 600"))
	if err != nil {
		t.Fatal(err)
	}
	p.reportDeath(func(err error) { died <- err })
	// A stale note must not keep it from the others.
	if err := os.WriteFile(dir.pidFile("absent"), []byte(strconv.Itoa(1<<22+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	dog.release()
	select {
	case err := <-died:
		if !strings.Contains(err.Error(), "signal: killed") {
			t.Errorf("orphan ended as %q, want it killed", err)
		}
	case <-time.After(within):
		p.stop()
		t.Fatal("the orphan was left running")
	}
	if exists(string(dir)) {
		t.Error("the directory is still there")
	}
}

func TestLogTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if diff := cmp.Diff("; its log is empty", logTail(path)); diff != "" {
		t.Errorf("tail of a log that is missing (-want +got):\n%s", diff)
	}
	lines := make([]string, 0, 30)
	for i := range 30 {
		lines = append(lines, "line "+strconv.Itoa(i))
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "; the end of its log:\n  " + strings.Join(lines[30-tailLines:], "\n  ")
	if diff := cmp.Diff(want, logTail(path)); diff != "" {
		t.Errorf("tail (-want +got):\n%s", diff)
	}
}

func TestWhatAProgramLeavesInItsGroupEndsWithIt(t *testing.T) {
	dir := testDirectory(t)
	noted := dir.path("child")
	p, err := startProgram(dir, shell("parent", "sleep 600 & echo $! >"+noted+".draft; mv "+noted+".draft "+noted+"; wait"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.waitUntil(t.Context(), within, func() bool { return exists(noted) }); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(noted)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	p.kill()
	deadline := time.After(within)
	for running(child) {
		select {
		case <-deadline:
			t.Fatal("the child lives on")
		default:
		}
	}
}

// running tells whether a process is there and has not ended. One that has no parent that waits for it stays a while.
func running(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
