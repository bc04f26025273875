// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package scrape

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
)

// Take is given a sample: the metric's name, its labels in braces or nothing, and its value.
type Take func(name, labels string, value float64)

var sampleLine = regexp.MustCompile(`^(\w+)(\{.*\})? (\S+)$`)

// Parse reads metrics in Prometheus' text format. One of needed that is not there is an error.
func Parse(text io.Reader, needed []string, take Take) error {
	found := map[string]bool{}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		sample := sampleLine.FindStringSubmatch(lines.Text())
		if sample == nil {
			continue // a comment
		}
		value, err := strconv.ParseFloat(sample[3], 64)
		if err != nil {
			return fmt.Errorf("the value of %s: %w", sample[1], err)
		}
		found[sample[1]] = true
		take(sample[1], sample[2], value)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	for _, name := range needed {
		if !found[name] {
			return fmt.Errorf("there is no %s", name)
		}
	}
	return nil
}

// Read asks the manager for its metrics and has them parsed.
func Read(ctx context.Context, url string, parse func(io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking for the manager's metrics: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking for the manager's metrics: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("asking for the manager's metrics: %s", response.Status)
	}
	if err := parse(response.Body); err != nil {
		return fmt.Errorf("reading the manager's metrics: %w", err)
	}
	return nil
}
