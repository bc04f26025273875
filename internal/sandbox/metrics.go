// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// SchedulerMetrics are our scheduler's metrics, in the text that Prometheus reads. They begin anew when it is started again.
func (s *Sandbox) SchedulerMetrics(ctx context.Context) (string, error) {
	p := s.program(schedulerProgram)
	if p == nil {
		return "", errors.New("reading the scheduler's metrics: it does not run")
	}
	for _, arg := range p.cmd.Args {
		if port, ok := strings.CutPrefix(arg, securePort); ok {
			return fetch(ctx, "https://127.0.0.1:"+port+"/metrics")
		}
	}
	return "", errors.New("reading the scheduler's metrics: it serves none")
}

func fetch(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("asking %s: %w", url, err)
	}
	response, err := selfSigned().Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("asking %s: %s", url, response.Status)
	}
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", url, err)
	}
	return string(content), nil
}
