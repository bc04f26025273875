// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
	"k8s.io/utils/clock"
)

const (
	// stepWidth aligns the times of steps.
	stepWidth = 36
	// plainEvery is how often progress is shown without a terminal.
	plainEvery = 10 * time.Second
)

// Style is how a piece of text looks on a terminal.
type Style string

// The styles.
const (
	Bold  Style = "\x1b[1m"
	Faint Style = "\x1b[2m"
	Green Style = "\x1b[32m"
	Red   Style = "\x1b[31m"
	reset       = "\x1b[0m"
)

// Console writes to one person's screen.
type Console struct {
	out    io.Writer
	clock  clock.PassiveClock
	colour bool
	// live says that the last line can be written again.
	live bool
	// width of the terminal, where there is one.
	width int

	inProgress bool
	lastPlain  time.Time
	lastText   string
}

// New returns a console on out. It looks whether that is a terminal.
func New(out io.Writer) *Console {
	c := &Console{out: out, clock: clock.RealClock{}}
	c.lastPlain = c.clock.Now()
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		c.live = os.Getenv("TERM") != "dumb"
		_, noColour := os.LookupEnv("NO_COLOR")
		c.colour = c.live && !noColour
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			c.width = width
		}
	}
	return c
}

// Paint gives text a style, where there are colours.
func (c *Console) Paint(style Style, text string) string {
	if !c.colour {
		return text
	}
	return string(style) + text + reset
}

// Heading begins a part.
func (c *Console) Heading(format string, args ...any) {
	c.Line("")
	c.Line("%s", c.Paint(Bold, fmt.Sprintf(format, args...)))
}

// Line writes a line.
func (c *Console) Line(format string, args ...any) {
	c.EndProgress()
	fmt.Fprintf(c.out, format+"\n", args...)
}

// Step writes what was done and how long it took.
func (c *Console) Step(name string, took time.Duration) {
	c.Line("  %-*s %s", stepWidth, name, c.Paint(Faint, fmt.Sprintf("%5.1f s", took.Seconds())))
}

// Verdict writes whether something held.
func (c *Console) Verdict(held bool, text string) {
	if held {
		c.Line("  %s  %s", c.Paint(Green, "ok  "), text)
		return
	}
	c.Line("  %s  %s", c.Paint(Red, "FAIL"), text)
}

// Progress says what is being waited for. On a terminal it is the last line, until the next one is written. Elsewhere it is
// a line of its own, not more often than every ten seconds.
func (c *Console) Progress(format string, args ...any) {
	text := "  " + fmt.Sprintf(format, args...) + " …"
	if c.live {
		if runes := []rune(text); c.width > 0 && len(runes) >= c.width {
			text = string(runes[:c.width-1])
		}
		fmt.Fprintf(c.out, "\r\x1b[K%s", c.Paint(Faint, text))
		c.inProgress = true
		return
	}
	now := c.clock.Now()
	if text != c.lastText && now.Sub(c.lastPlain) >= plainEvery {
		fmt.Fprintln(c.out, text)
		c.lastPlain, c.lastText = now, text
	}
}

// EndProgress takes the moving line away.
func (c *Console) EndProgress() {
	if c.inProgress {
		fmt.Fprint(c.out, "\r\x1b[K")
		c.inProgress = false
	}
	c.lastPlain = c.clock.Now()
}

// Table writes rows in aligned columns: the first to the left, the others to the right. The first row is the heading.
func (c *Console) Table(rows [][]string) {
	for i, line := range alignColumns(rows) {
		if i == 0 {
			line = c.Paint(Faint, line)
		}
		c.Line("  %s", line)
	}
}

func alignColumns(rows [][]string) []string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	lines := make([]string, 0, len(rows))
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			padding := strings.Repeat(" ", widths[i]-len([]rune(cell)))
			switch i {
			case 0:
				line.WriteString(cell + padding)
			default:
				line.WriteString("   " + padding + cell)
			}
		}
		lines = append(lines, strings.TrimRight(line.String(), " "))
	}
	return lines
}
