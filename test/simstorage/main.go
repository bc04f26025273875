// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/component-base/cli"

	"roost.dev/roost/test/simstorage/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	command := app.NewCommand()
	command.SetContext(ctx)
	code := cli.Run(command)
	stop()
	os.Exit(code)
}
