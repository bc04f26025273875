// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPolicyOf(t *testing.T) {
	annotated := func(kind, value string) Annotated {
		return Annotated{Kind: kind, Name: "x", Annotations: map[string]string{PolicyAnnotation: value}}
	}
	tests := map[string]struct {
		objects []Annotated
		want    Policy
		wantErr string
	}{
		"nothing says anything":             {objects: []Annotated{{Kind: "Pod"}, {}}, want: Ignored},
		"the first object wins":             {objects: []Annotated{annotated("Pod", "Avoid"), annotated("Claim", "Required")}, want: Avoid},
		"an object without one is passed":   {objects: []Annotated{{Kind: "Pod"}, annotated("Claim", "Required")}, want: Required},
		"the last object is asked":          {objects: []Annotated{{}, {}, annotated("StorageClass", "Preferred")}, want: Preferred},
		"Ignored is a policy":               {objects: []Annotated{annotated("Pod", "Ignored"), annotated("Claim", "Required")}, want: Ignored},
		"an unknown value is Preferred":     {objects: []Annotated{annotated("Pod", "Sometimes"), annotated("Claim", "Required")}, want: Preferred, wantErr: `Pod "x": annotation roost.dev/locality: unsupported value "Sometimes": must be Preferred, Required, Avoid or Ignored; treated as Preferred`},
		"a value in other case is unknown":  {objects: []Annotated{annotated("Pod", "required")}, want: Preferred, wantErr: `Pod "x": annotation roost.dev/locality: unsupported value "required": must be Preferred, Required, Avoid or Ignored; treated as Preferred`},
		"an empty value is unknown as well": {objects: []Annotated{annotated("Pod", "")}, want: Preferred, wantErr: `Pod "x": annotation roost.dev/locality: unsupported value "": must be Preferred, Required, Avoid or Ignored; treated as Preferred`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := PolicyOf(Ignored, tc.objects...)
			if got != tc.want {
				t.Errorf("policy = %s, want %s", got, tc.want)
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
