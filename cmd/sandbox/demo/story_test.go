// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roost.dev/roost/cmd/sandbox/console"
)

func TestPart(t *testing.T) {
	for name, tc := range map[string]struct {
		interrupted bool
		dead        error
		err         error
		wantOutput  string
		wantFailed  int
	}{
		"that holds says nothing of itself": {
			wantOutput: "\nPart\n",
		},
		"that fails is a step that did not hold": {
			err:        errors.New("no such pod"),
			wantOutput: "\nPart\n  FAIL  no such pod\n",
			wantFailed: 1,
		},
		"that is interrupted says so": {
			interrupted: true,
			err:         context.Canceled,
			wantOutput:  "\nPart\n  FAIL  interrupted\n",
			wantFailed:  1,
		},
		"in which a program dies names the program": {
			dead:       errors.New("kwok ended"),
			err:        context.Canceled,
			wantOutput: "\nPart\n  FAIL  kwok ended\n",
			wantFailed: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var dead error
			s := &story{cluster: cluster{screen: console.New(&out)}, failure: func() error { return dead }}
			s.part(ctx, "Part", func(context.Context) error {
				dead = tc.dead
				if tc.interrupted {
					cancel()
				}
				return tc.err
			})
			if diff := cmp.Diff(tc.wantOutput, out.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if s.result.Failed != tc.wantFailed {
				t.Errorf("%d steps failed, want %d", s.result.Failed, tc.wantFailed)
			}
			if next := playedAfter(ctx, s); next == (tc.interrupted || tc.dead != nil) {
				t.Errorf("the next part was played: %t, want it played unless there is nothing to play it on", next)
			}
		})
	}
}

func playedAfter(ctx context.Context, s *story) bool {
	played := false
	s.part(ctx, "Next", func(context.Context) error {
		played = true
		return nil
	})
	return played
}
