// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// watchdogScript waits until its standard input ends, which is when this process has, however that came about: a pipe's
// end is closed even by SIGKILL. Then it kills every process group of the sandbox and removes its directory. After an
// orderly Stop the directory is gone, and there is nothing left to do. Unlike Pdeathsig it works on every Unix, for the
// processes that envtest starts, and for files.
const watchdogScript = `
trap '' INT TERM HUP QUIT
read -r _
for file in "$1"/pids/*; do
  [ -f "$file" ] && kill -s KILL -- "-$(cat "$file")" 2>/dev/null
done
rm -rf -- "$1" 2>/dev/null || rm -rf -- "$1"
`

// watchdog cleans up after us where we cannot.
type watchdog struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

func startWatchdog(dir directory) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "roost-sandbox-watchdog", string(dir))
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("connecting to the watchdog: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the watchdog: %w", err)
	}
	return &watchdog{cmd: cmd, pipe: pipe}, nil
}

// release ends the watchdog, which removes what is still there.
func (w *watchdog) release() {
	_ = w.pipe.Close()
	_ = w.cmd.Wait()
}
