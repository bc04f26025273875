// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package tick

import (
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"as documented":                    {change: func(*Options) {}},
		"the smallest":                     {change: func(o *Options) { o.Claims, o.Namespaces = 1, 1 }},
		"more namespaces than claims":      {change: func(o *Options) { o.Claims, o.Namespaces = 3, 50 }},
		"profiles and jitter":              {change: func(o *Options) { o.Profiling, o.Jitter = "127.0.0.1:6060", 10*time.Minute }},
		"no claims":                        {change: func(o *Options) { o.Claims = 0 }, want: "--claims is 0, must be between 1 and 50000"},
		"more claims than there are names": {change: func(o *Options) { o.Claims, o.Namespaces = 1001, 1 }, want: "1000 a namespace"},
		"no namespace":                     {change: func(o *Options) { o.Namespaces = 0 }, want: "--namespaces is 0"},
		"too many namespaces":              {change: func(o *Options) { o.Namespaces = 1001 }, want: "--namespaces is 1001"},
		"a jitter of less than nothing":    {change: func(o *Options) { o.Jitter = -time.Second }, want: "--jitter is -1s"},
		"a jitter of a day":                {change: func(o *Options) { o.Jitter = 24 * time.Hour }, want: "--jitter is 24h0m0s, must be between 0s and 1h"},
		"no requests":                      {change: func(o *Options) { o.QPS = 0 }, want: "--qps is 0, must be between 1 and 1000"},
		"profiles at no address":           {change: func(o *Options) { o.Profiling = "here" }, want: `--profiling is "here"`},
	} {
		t.Run(name, func(t *testing.T) {
			opts := DefaultOptions()
			tc.change(&opts)
			err := opts.Validate()
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("Validate() = %v, want %q", err, tc.want)
			}
		})
	}
}
