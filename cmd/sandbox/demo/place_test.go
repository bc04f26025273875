// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlaceOf(t *testing.T) {
	nodes := map[string]topology{
		"a1":     {rack: "rack-a", zone: "zone-1"},
		"a2":     {rack: "rack-a", zone: "zone-1"},
		"b1":     {rack: "rack-b", zone: "zone-1"},
		"c1":     {rack: "rack-c", zone: "zone-2"},
		"bare-1": {},
		"bare-2": {},
	}
	for name, tc := range map[string]struct {
		node     string
		replicas []string
		want     Place
	}{
		"on a replica":                           {node: "a1", replicas: []string{"c1", "a1"}, want: OnData},
		"in the rack of a replica":               {node: "a2", replicas: []string{"c1", "a1"}, want: SameRack},
		"in the zone of a replica":               {node: "b1", replicas: []string{"c1", "a1"}, want: SameZone},
		"in no zone with a replica":              {node: "c1", replicas: []string{"a1", "a2"}, want: Elsewhere},
		"the nearest replica counts, not first":  {node: "a2", replicas: []string{"b1", "a1"}, want: SameRack},
		"the nearest replica counts, not last":   {node: "a2", replicas: []string{"a1", "b1"}, want: SameRack},
		"a missing label matches no missing one": {node: "bare-1", replicas: []string{"bare-2"}, want: Elsewhere},
		"a node that is not known":               {node: "gone", replicas: []string{"a1"}, want: Elsewhere},
		"a volume without replicas":              {node: "a1", want: Elsewhere},
	} {
		t.Run(name, func(t *testing.T) {
			if got := placeOf(tc.node, tc.replicas, nodes); got != tc.want {
				t.Errorf("placeOf(%s, %v) = %d, want %d", tc.node, tc.replicas, got, tc.want)
			}
		})
	}
}

func TestComparison(t *testing.T) {
	want := [][]string{
		{"pods are", "on a data node", "in its rack", "in its zone", "elsewhere"},
		{"stock", "1", "2", "30", "27"},
		{"Roost", "60", "0", "0", "0"},
	}
	got := comparison(namedTally{"stock", Tally{1, 2, 30, 27}}, namedTally{"Roost", Tally{OnData: 60}})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("comparison (-want +got):\n%s", diff)
	}
	if total := (Tally{1, 2, 30, 27}).Total(); total != 60 {
		t.Errorf("Total() = %d, want 60", total)
	}
}

func TestWrapped(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"short text is one line":                {text: "all well", want: "> all well"},
		"long text is broken between words":     {text: "one two three four", want: "> one two\n> three four"},
		"a word that is longer is not broken":   {text: "a incomprehensibilities b", want: "> a\n> incomprehensibilities\n> b"},
		"line ends of the text are only spaces": {text: "one\ntwo", want: "> one two"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, wrapped(tc.text, 10, "> ")); diff != "" {
				t.Errorf("wrapped (-want +got):\n%s", diff)
			}
		})
	}
}
