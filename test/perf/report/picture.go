// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"html"
	"strings"

	"roost.dev/roost/test/perf/results"
)

const (
	pictureWidth = 860
	labelWidth   = 290
	barWidth     = 300
	barHeight    = 14
	groupHeight  = 44
	headHeight   = 76
	footHeight   = 34
)

var (
	pictured = []struct {
		profile results.Profile
		name    string
		colour  string
	}{
		{results.Stock, "stock kube-scheduler", "#9aa5b1"},
		{results.Roost, "Roost", "#0b7285"},
	}
	pictureFont = `font-family="system-ui, sans-serif"`
)

// picture has the largest cluster that was measured.
func picture(file *results.File) string {
	rows := largest(summarize(file.Runs))
	nodes, highest := 0, 1.0
	for _, r := range rows {
		nodes = r.nodes
		for _, s := range r.of {
			highest = max(highest, s.rate())
		}
	}
	height := headHeight + len(rows)*groupHeight + footHeight
	var svg strings.Builder
	fmt.Fprintf(&svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" %s font-size=\"13\" fill=\"#212529\">\n", pictureWidth, height, pictureFont)
	fmt.Fprintf(&svg, "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", pictureWidth, height)
	fmt.Fprintf(&svg, "<text x=\"16\" y=\"28\" font-size=\"17\" font-weight=\"600\">Pods placed a second on %d nodes, and the share of them beside their data</text>\n", nodes)
	for i, p := range pictured {
		x := 16 + i*190
		fmt.Fprintf(&svg, "<rect x=\"%d\" y=\"44\" width=\"12\" height=\"12\" fill=\"%s\"/><text x=\"%d\" y=\"55\">%s</text>\n", x, p.colour, x+18, p.name)
	}
	for i, r := range rows {
		drawRow(&svg, r, headHeight+i*groupHeight, highest)
	}
	m := file.Machine
	foot := fmt.Sprintf("%s, %s: %d CPUs, Kubernetes %s, scheduler_perf", file.Command, m.Date, m.CPUs, m.Kubernetes)
	if isBusy(m) {
		foot += "; on a busy machine"
	}
	if file.Quick {
		foot += "; a quick run, too short to trust"
	}
	fmt.Fprintf(&svg, "<text x=\"16\" y=\"%d\" font-size=\"11\" fill=\"#6c757d\">%s</text>\n</svg>\n", height-12, html.EscapeString(foot))
	return svg.String()
}

// largest are the rows of the cluster with most nodes.
func largest(rows []*row) []*row {
	var found []*row
	for _, r := range rows {
		if len(found) > 0 && r.nodes > found[0].nodes {
			found = nil
		}
		if len(found) == 0 || r.nodes == found[0].nodes {
			found = append(found, r)
		}
	}
	return found
}

func drawRow(svg *strings.Builder, r *row, top int, highest float64) {
	fmt.Fprintf(svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", labelWidth, top+barHeight+5, html.EscapeString(titles[r.scenario]))
	for i, p := range pictured {
		s := r.of[p.profile]
		if s == nil {
			continue
		}
		y, width := top+i*(barHeight+2), barWidth*s.rate()/highest
		text := fmt.Sprintf("%.0f pods/s", s.rate())
		if s.located {
			text += fmt.Sprintf(", %s beside their data", s.shareText())
		}
		fmt.Fprintf(svg, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", labelWidth+12, y, width, barHeight, p.colour)
		fmt.Fprintf(svg, "<text x=\"%.1f\" y=\"%d\" font-size=\"12\">%s</text>\n", labelWidth+18+width, y+12, html.EscapeString(text))
	}
}
