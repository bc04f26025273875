// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package podexec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// signalBase is what a shell adds to a signal's number.
const signalBase = 128

// command runs one command. It is an Executor of one place.
type command struct {
	place Place
	group int
}

var _ remotecommand.Executor = (*command)(nil)

// ExecInContainer runs the command to its end and returns an ExitError where its exit code is not 0. Where it leaves children
// behind that have its output, the end is theirs, as it is with a container's runtime.
func (c *command) ExecInContainer( //nolint:revive // argument-limit: the interface is not ours
	_ context.Context, _, _, _ string, words []string, in io.Reader, out, errOut io.WriteCloser, _ bool,
	_ <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	process := exec.Command(words[0], words[1:]...)
	process.Dir, process.Env = c.place.Dir, c.place.Env
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: c.group}
	if out != nil {
		process.Stdout = out
	}
	if errOut != nil {
		process.Stderr = errOut
	}
	var input io.WriteCloser
	if in != nil {
		var err error
		if input, err = process.StdinPipe(); err != nil {
			return fmt.Errorf("connecting the input of %s: %w", words[0], err)
		}
	}
	if err := process.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", words[0], err)
	}
	if input != nil {
		// Not the process's own copying, which Wait would wait for: a client may keep its input open.
		go func() {
			_, _ = io.Copy(input, in)
			_ = input.Close()
		}()
	}
	err := process.Wait()
	// Streams that are not closed are cut off when the connection ends, with what is still on its way.
	for _, stream := range []io.Closer{out, errOut} {
		if stream != nil {
			_ = stream.Close()
		}
	}
	return exitOf(err)
}

// exitOf makes an ExitError of the end of a process. One that a signal ended has the code that a shell gives it.
func exitOf(err error) error {
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) {
		return err
	}
	code := exit.ExitCode()
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = signalBase + int(status.Signal())
	}
	return utilexec.CodeExitError{Err: err, Code: code}
}
