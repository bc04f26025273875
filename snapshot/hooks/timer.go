// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"fmt"
	"time"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// The scripts run in containers of others, with whatever sh is there: dash, bash or busybox. What they are given comes as
// arguments and never becomes part of a script. A timer is known by its marker, which stands in its arguments and so in
// /proc/PID/cmdline: PIDs are used again. read leaves out the NULs between arguments and stops at a newline, so there is none
// before the marker.
const (
	// timerScript sleeps $1 seconds and then thaws by the other arguments. Its parent is the container's process 1, and to a
	// PostgreSQL that is process 1 a child that a signal ended is a crash: however it ends, it exits with 0. The sleep is
	// its own child, and is waited for.
	timerScript = `trap "" HUP INT; s=; trap '[ -z "$s" ] || { kill "$s"; wait "$s"; }; exit 0' TERM; ` +
		`sleep "$1" & s=$!; wait "$s"; s=; shift; ` +
		`n=0; until "$@" || [ "$n" -ge 30 ]; do n=$((n+1)); sleep 1; done; exit 0`

	// startScript has the marker as $0 and prints the PID of the timer. $1 marks the timers of all runs in the pod and $2
	// those of this run: the others are left over, as one run at a time freezes a pod, and would thaw what this run freezes.
	startScript = `command -v sleep >/dev/null || { echo "no sleep in the container"; exit 127; }
all=$1; run=$2; timer=$3; shift 3
for d in /proc/[0-9]*; do
	l=; { IFS= read -r l <"$d/cmdline"; } 2>/dev/null
	case $l in *"$run"*) ;; *"$all"*) kill "${d#/proc/}" 2>/dev/null ;; esac
done
if command -v setsid >/dev/null; then
	setsid sh -c "$timer" "$0" "$@" </dev/null >/dev/null 2>&1 &
else
	sh -c "$timer" "$0" "$@" </dev/null >/dev/null 2>&1 &
fi
kill -0 "$!" && echo "$!"`

	// stopScript has the marker as $0 and the PID as $1.
	stopScript = `l=; { IFS= read -r l <"/proc/$1/cmdline"; } 2>/dev/null
case $l in *"$0"*) [ "$1" = "$$" ] || kill "$1" 2>/dev/null ;; esac
exit 0`

	// maxPID is the size of FrozenPod.TimerPID.
	maxPID = 16
)

// podMarker is in the arguments of all timers in a pod, runMarker in those of a run. Both end with what no UID, run or
// name has, so that none is the beginning of another.
func podMarker(pod *snapshotv1alpha1.FrozenPod) string { return "roost-thaw:" + pod.UID + ":" }

func runMarker(runID string, pod *snapshotv1alpha1.FrozenPod) string {
	return podMarker(pod) + runID + ":"
}

func timerMarker(runID string, pod *snapshotv1alpha1.FrozenPod) string {
	return runMarker(runID, pod) + pod.Hook + ";"
}

// startCommand starts a timer that thaws the pod after at least so long.
func startCommand(runID string, pod *snapshotv1alpha1.FrozenPod, after time.Duration) []string {
	seconds := (after + time.Second - 1) / time.Second
	return append([]string{
		"sh", "-c", startScript, timerMarker(runID, pod), podMarker(pod), runMarker(runID, pod), timerScript, fmt.Sprint(int64(seconds)),
	}, pod.Thaw...)
}

// stopCommand stops that timer. It succeeds where there is none.
func stopCommand(runID string, pod *snapshotv1alpha1.FrozenPod) []string {
	return []string{"sh", "-c", stopScript, timerMarker(runID, pod), pod.TimerPID}
}

// pidIn reads the PID out of what startCommand printed.
func pidIn(output string) (string, error) {
	pid := lastLine(output)
	if pid == "" || len(pid) > maxPID {
		return "", fmt.Errorf("it printed no process number but %q", pid)
	}
	for _, r := range pid {
		if r < '0' || r > '9' {
			return "", fmt.Errorf("it printed no process number but %q", pid)
		}
	}
	return pid, nil
}
