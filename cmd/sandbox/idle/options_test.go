// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package idle

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
		"as documented":                   {change: func(*Options) {}},
		"the smallest":                    {change: func(o *Options) { *o = Options{Nodes: 3, Claims: 1, For: 10 * time.Second} }},
		"as many claims as there is room": {change: func(o *Options) { o.Claims = 64000 }},
		"fewer nodes than replicas":       {change: func(o *Options) { o.Nodes = 2; o.Claims = 1 }, want: "--nodes is 2, must be between 3 and 5000"},
		"too many nodes":                  {change: func(o *Options) { o.Nodes = 5001 }, want: "--nodes is 5001"},
		"no claims":                       {change: func(o *Options) { o.Claims = 0 }, want: "--claims is 0, must be between 1 and 64000"},
		"more claims than there is room":  {change: func(o *Options) { o.Claims = 64001 }, want: "64 a node"},
		"watched too short":               {change: func(o *Options) { o.For = time.Second }, want: "--for is 1s, must be between 10s and 20m"},
		"watched longer than a watch":     {change: func(o *Options) { o.For = time.Hour }, want: "--for is 1h0m0s"},
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
