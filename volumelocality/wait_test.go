// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWaitOf(t *testing.T) {
	annotated := func(kind, value string) Annotated {
		return Annotated{Kind: kind, Name: "x", Annotations: map[string]string{WaitAnnotation: value}}
	}
	bad := func(value string) string {
		return `Pod "x": annotation roost.dev/locality-wait: invalid value "` + value + `": must be a duration from 0s to 24h, for example 90s or 10m; the pod does not wait`
	}
	tests := map[string]struct {
		objects []Annotated
		want    time.Duration
		wantErr string
	}{
		"nothing says anything":                   {objects: []Annotated{{Kind: "Pod"}, {}}},
		"the first object wins":                   {objects: []Annotated{annotated("Pod", "90s"), annotated("Claim", "10m")}, want: 90 * time.Second},
		"an object without one is passed":         {objects: []Annotated{{Kind: "Pod"}, annotated("Claim", "10m")}, want: 10 * time.Minute},
		"the last object is asked":                {objects: []Annotated{{}, {}, annotated("StorageClass", "1h30m")}, want: 90 * time.Minute},
		"zero hides the next object's":            {objects: []Annotated{annotated("Pod", "0"), annotated("Claim", "10m")}},
		"the longest":                             {objects: []Annotated{annotated("Pod", "24h")}, want: MaxWait},
		"longer than that":                        {objects: []Annotated{annotated("Pod", "24h0m0.001s")}, wantErr: bad("24h0m0.001s")},
		"negative":                                {objects: []Annotated{annotated("Pod", "-1s")}, wantErr: bad("-1s")},
		"a number without a unit":                 {objects: []Annotated{annotated("Pod", "90")}, wantErr: bad("90")},
		"a unit that durations do not have":       {objects: []Annotated{annotated("Pod", "1d")}, wantErr: bad("1d")},
		"empty":                                   {objects: []Annotated{annotated("Pod", "")}, wantErr: bad("")},
		"a bad value does not hide behind a good": {objects: []Annotated{annotated("Pod", "soon"), annotated("Claim", "10m")}, wantErr: bad("soon")},
		"more than fits":                          {objects: []Annotated{annotated("Pod", "99999999999h")}, wantErr: bad("99999999999h")},
		"a long value is cut": {
			objects: []Annotated{annotated("Pod", strings.Repeat("y", 1000))}, wantErr: bad(strings.Repeat("y", maxShownValue) + "..."),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := WaitOf(tc.objects...)
			if got != tc.want {
				t.Errorf("wait = %s, want %s", got, tc.want)
			}
			gotErr := ""
			if err != nil {
				gotErr = err.Error()
			}
			if diff := cmp.Diff(tc.wantErr, gotErr); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzWaitOf holds that whatever an annotation says, a wait is within its bounds or refused.
func FuzzWaitOf(f *testing.F) {
	for _, seed := range []string{"", "0", "10m", "-1ns", "24h", "24h1ns", "1e9h", "∞"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		wait, err := WaitOf(Annotated{Kind: "Pod", Name: "x", Annotations: map[string]string{WaitAnnotation: value}})
		if wait < 0 || wait > MaxWait || (err != nil && wait != 0) {
			t.Errorf("WaitOf(%q) = %s, %v", value, wait, err)
		}
		if err != nil && len(err.Error()) > 512 {
			t.Errorf("the error about %q has %d characters", value, len(err.Error()))
		}
	})
}
