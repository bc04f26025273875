// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// shells gives for each sh that is here a PATH in which it is the sh.
func shells(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range []string{"sh", "dash", "bash", "busybox"} {
		program, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if program, err = filepath.EvalSymlinks(program); err != nil || found[filepath.Base(program)] != "" {
			continue
		}
		dir := t.TempDir()
		if err := os.Symlink(program, filepath.Join(dir, "sh")); err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(program)] = dir + ":" + os.Getenv("PATH")
	}
	if len(found) == 0 {
		t.Fatal("no sh")
	}
	return found
}

// run runs a command as a container runtime does, and gives what it printed. It returns only once nothing has its output open.
func run(t *testing.T, path string, command []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Path, cmd.Err = filepath.Join(strings.Split(path, ":")[0], "sh"), nil
	cmd.Env = append(os.Environ(), "PATH="+path)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v: %s", command, err, output)
	}
	return string(output)
}

// startTimer starts one and gives its PID. It is stopped when the test ends.
func startTimer(t *testing.T, path, runID string, pod *snapshotv1alpha1.FrozenPod, after time.Duration) string {
	t.Helper()
	pid, err := pidIn(run(t, path, startCommand(runID, pod, after)))
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(number, syscall.SIGTERM) })
	return pid
}

// argumentsOf gives the arguments of a process: none of one that ended, though nobody waited for it.
func argumentsOf(pid string) string {
	arguments, _ := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
	return string(bytes.ReplaceAll(arguments, []byte{0}, []byte{' '}))
}

// eventually waits for what another process does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick, limit := time.NewTicker(5*time.Millisecond), time.NewTimer(20*time.Second)
	defer tick.Stop()
	defer limit.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatal(what)
		}
	}
}

func timedPod(uid string, thaw ...string) *snapshotv1alpha1.FrozenPod {
	return &snapshotv1alpha1.FrozenPod{Hook: "lock", Name: "db-0", UID: uid, Thaw: thaw}
}

func TestTheTimerThawsWhenNobodyComes(t *testing.T) {
	for shell, path := range shells(t) {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "thawed by hand's \"timer\"")
			want := []string{"a b", `it's "quoted"`, "$HOME `id` $(id) \\n", "*", "", "-n", "ä;|&"}
			began := time.Now()
			pod := timedPod("uid-"+shell, append([]string{"sh", "-c", `printf "%s\n" "$@" >"$0.part" && mv "$0.part" "$0"`, file}, want...)...)
			pid := startTimer(t, path, "run", pod, 800*time.Millisecond)
			eventually(t, "the timer thawed nothing", func() bool {
				_, err := os.Stat(file)
				return err == nil
			})
			if early := time.Second - time.Since(began); early > 0 {
				t.Errorf("it thawed %s before its time, which is rounded up", early)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Join(want, "\n")+"\n", string(text)); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
			eventually(t, "the timer does not end", func() bool { return argumentsOf(pid) == "" })
		})
	}
}

func TestTheTimerThawsAgainWhenItsThawFails(t *testing.T) {
	for shell, path := range shells(t) {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			pod := timedPod("uid-"+shell, "sh", "-c", `[ -e "$0/tried" ] && : >"$0/thawed" || { : >"$0/tried"; exit 1; }`, dir)
			startTimer(t, path, "run", pod, time.Second)
			eventually(t, "it gave up", func() bool {
				_, err := os.Stat(filepath.Join(dir, "thawed"))
				return err == nil
			})
		})
	}
}

func TestAStoppedTimerThawsNothing(t *testing.T) {
	for shell, path := range shells(t) {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			thawed := filepath.Join(t.TempDir(), "thawed")
			pod := timedPod("uid-"+shell, "touch", thawed)
			pod.TimerPID = startTimer(t, path, "run", pod, 27183*time.Second)
			sleep := childOf(t, pod.TimerPID)
			run(t, path, stopCommand("run", pod))
			eventually(t, "the timer goes on", func() bool { return argumentsOf(pod.TimerPID) == "" })
			eventually(t, "its sleep goes on", func() bool { return argumentsOf(sleep) == "" })
			if _, err := os.Stat(thawed); err == nil {
				t.Error("it thawed")
			}
			// Once more, when there is none.
			run(t, path, stopCommand("run", pod))
		})
	}
}

// childOf waits until a process has a child, and gives its PID.
func childOf(t *testing.T, pid string) (child string) {
	t.Helper()
	eventually(t, "the timer does not sleep", func() bool {
		children, _ := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children"))
		child = strings.TrimSpace(string(children))
		return child != "" && strings.HasPrefix(argumentsOf(child), "sleep ")
	})
	return child
}

// A PostgreSQL that is process 1 of its container starts all over when a child that it does not know ends by a signal.
func TestAStoppedTimerEndsWithoutAnError(t *testing.T) {
	for shell, path := range shells(t) {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), filepath.Join(strings.Split(path, ":")[0], "sh"), "-c", timerScript, "marker", "300", "true")
			cmd.Args[0] = "sh"
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			childOf(t, strconv.Itoa(cmd.Process.Pid))
			if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
				t.Error(err)
			}
		})
	}
}

// PIDs are used again.
func TestStoppingATimerLeavesOtherProcessesAlone(t *testing.T) {
	for shell, path := range shells(t) {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			other := exec.CommandContext(t.Context(), "sleep", "300")
			if err := other.Start(); err != nil {
				t.Fatal(err)
			}
			pod := timedPod("uid-"+shell, "true")
			pod.TimerPID = strconv.Itoa(other.Process.Pid)
			run(t, path, stopCommand("run", pod))
			ofAnotherRun := startTimer(t, path, "another", pod, time.Hour)
			childOf(t, ofAnotherRun)
			pod.TimerPID = ofAnotherRun
			run(t, path, stopCommand("run", pod))
			if argumentsOf(strconv.Itoa(other.Process.Pid)) == "" || argumentsOf(ofAnotherRun) == "" {
				t.Error("it stopped what is not its timer")
			}
			_ = errors.Join(other.Process.Kill(), other.Wait())
		})
	}
}

// A timer that was left over would thaw what the next run froze.
func TestATimerEndsThoseOfEarlierRunsInThePod(t *testing.T) {
	for shell, path := range shells(t) {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			pod, elsewhere := timedPod("uid-"+shell, "true"), timedPod("uid-"+shell+"-2", "true")
			second := timedPod("uid-"+shell, "true")
			second.Hook = "lock-2"
			left := startTimer(t, path, "monday", pod, time.Hour)
			ofAnotherPod := startTimer(t, path, "monday", elsewhere, time.Hour)
			childOf(t, left)
			first := startTimer(t, path, "tuesday", pod, time.Hour)
			childOf(t, first)
			last := startTimer(t, path, "tuesday", second, time.Hour)
			eventually(t, "it goes on", func() bool { return argumentsOf(left) == "" })
			for _, pid := range []string{ofAnotherPod, first, last} {
				childOf(t, pid)
			}
		})
	}
}

func TestATimerNeedsSleep(t *testing.T) {
	for shell, path := range shells(t) {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			dir := strings.Split(path, ":")[0]
			command := startCommand("run", timedPod("uid", "true"), time.Second)
			cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "sh"), command[1:]...)
			cmd.Args[0], cmd.Env = "sh", []string{"PATH=" + dir}
			output, err := cmd.CombinedOutput()
			if shell == "busybox" {
				// It may have a sleep of its own.
				return
			}
			if err == nil || !strings.Contains(string(output), "no sleep in the container") {
				t.Errorf("%v: %s", err, output)
			}
		})
	}
}

func TestPIDIn(t *testing.T) {
	for output, want := range map[string]string{
		"17\n": "17", "a warning of the shell\n4711\n": "4711", "": "", "17 18": "", "no": "", "12345678901234567": "", "-1": "",
	} {
		if got, err := pidIn(output); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q (%v), want %q", output, got, err, want)
		}
	}
}
