// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"roost.dev/roost/cmd/sandbox/app"
)

// orderlyStop is how long a stop takes at most, unless something hangs.
const orderlyStop = 20 * time.Second

func main() {
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// An orderly stop takes seconds, and a second Ctrl-C does not disturb it. Should it hang, one ends this process at once, and
	// the sandbox's watchdog cleans up.
	context.AfterFunc(ctx, func() { time.AfterFunc(orderlyStop, restore) })
	os.Exit(app.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
