// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/utils/clock"

	"roost.dev/roost/cmd/sandbox/workload"
	"roost.dev/roost/internal/sandbox"
)

const (
	shopNamespace = "shop"
	shopPods      = 2

	// ordersFile is what the shop's pods have written to their volumes.
	ordersFile = "orders"
	orders     = "100 orders"
	noOrders   = "no orders"
)

// openShop runs the pods whose content is snapshot and restored, with orders in each.
func (s *story) openShop(ctx context.Context) error {
	start := clock.RealClock{}.Now()
	if err := s.workloadIn(shopNamespace).Deploy(ctx, sandbox.SchedulerName, shopPods); err != nil {
		return err
	}
	if err := s.waitForRunning(ctx, shopNamespace, shopPods, nil, "the shop"); err != nil {
		return err
	}
	s.screen.Step("volumes made, pods running", clock.RealClock{}.Since(start))
	return s.writeOrders(ctx, orders)
}

// shopClaims are the claims of the shop's pods.
func shopClaims() []string {
	var names []string
	for i := range shopPods {
		names = append(names, fmt.Sprintf("data-%s-%d", workload.Name, i))
	}
	return names
}

// writeOrders has every volume of the shop hold a text, as its pods would write it.
func (s *story) writeOrders(ctx context.Context, text string) error {
	for _, claim := range shopClaims() {
		dir, err := s.volumeDir(ctx, shopNamespace, claim)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, ordersFile), []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing to claim %s: %w", claim, err)
		}
	}
	return nil
}

// hold says whether the volumes of all claims have a file with that text. The empty text is that they have no such file.
func (s *story) hold(ctx context.Context, claims []string, file, want string) (bool, error) {
	for _, claim := range claims {
		dir, err := s.volumeDir(ctx, shopNamespace, claim)
		if err != nil {
			return false, err
		}
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("reading from claim %s: %w", claim, err)
		}
		if strings.TrimSpace(string(text)) != want {
			return false, nil
		}
	}
	return true, nil
}

// listed names things in a sentence.
func listed(names []string) string { return strings.Join(names, " and ") }
