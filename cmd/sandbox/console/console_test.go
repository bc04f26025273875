// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestPlainOutputIsPlain(t *testing.T) {
	var out bytes.Buffer
	c := New(&out)
	c.Heading("Part %d", 1)
	c.Step("something", 1250*time.Millisecond)
	c.Verdict(true, "it held")
	c.Verdict(false, "it did not")
	want := `
Part 1
  something                              1.2 s
  ok    it held
  FAIL  it did not
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestColours(t *testing.T) {
	var out bytes.Buffer
	c := New(&out)
	c.colour = true
	c.Verdict(true, "it held")
	if want := "  \x1b[32mok  \x1b[0m  it held\n"; out.String() != want {
		t.Errorf("output is %q, want %q", out.String(), want)
	}
}

func TestPlainProgressIsRare(t *testing.T) {
	var out bytes.Buffer
	clock := clocktesting.NewFakePassiveClock(time.Unix(0, 0))
	c := New(&out)
	c.clock, c.lastPlain = clock, clock.Now()
	for second := range 25 {
		clock.SetTime(time.Unix(int64(second), 0))
		c.Progress("%d of 25", second)
	}
	if diff := cmp.Diff("  10 of 25 …\n  20 of 25 …\n", out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestLiveProgressIsOneLineThatGoesAway(t *testing.T) {
	var out bytes.Buffer
	c := New(&out)
	c.live, c.width = true, 20
	c.Progress("1 of 2")
	c.Progress("%s", strings.Repeat("x", 40))
	c.Line("done")
	want := "\r\x1b[K  1 of 2 …" + "\r\x1b[K  " + strings.Repeat("x", 17) + "\r\x1b[K" + "done\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	New(&out).Table([][]string{{"", "left", "right"}, {"a long name", "1", "22"}, {"é", "333333", ""}})
	want := `                  left   right
  a long name        1      22
  é             333333
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}
