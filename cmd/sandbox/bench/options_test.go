// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"strings"
	"testing"
	"time"
)

func TestDefaultOptionsAreValid(t *testing.T) {
	if err := DefaultOptions().Validate(); err != nil {
		t.Errorf("Validate() = %v, want nil", err)
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"fewer than none":          {change: func(o *Options) { o.Dead = -1 }, want: "--dead is -1, must be between 0 and 1000"},
		"more than ever end":       {change: func(o *Options) { o.Offline = 1001 }, want: "--offline is 1001, must be between 0 and 1000"},
		"too many at once":         {change: func(o *Options) { o.Alone = 11 }, want: "--alone is 11, must be at most 10"},
		"too short to see a thing": {change: func(o *Options) { o.AloneFor = time.Millisecond }, want: "--alone-for is 1ms, must be between 1s and 1h"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := DefaultOptions()
			tc.change(&opts)
			if err := opts.Validate(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Validate() = %v, want an error that contains %q", err, tc.want)
			}
		})
	}
}

func TestDrawsFollowFromTheSeed(t *testing.T) {
	draws := func(seed uint64) []draw { return newBench(Options{Seed: seed}).draws(50) }
	first, again, other := draws(1), draws(1), draws(2)
	same := 0
	for i := range first {
		if first[i] != again[i] {
			t.Errorf("draw %d is %v, and %v with the same seed", i, first[i], again[i])
		}
		if first[i] == other[i] {
			same++
		}
		if pause := first[i].pause; pause < 0 || pause >= maxPause {
			t.Errorf("draw %d has a pause of %s, want one below %s", i, pause, maxPause)
		}
	}
	if same > 1 {
		t.Errorf("%d of %d draws are the same with another seed", same, len(first))
	}
}
