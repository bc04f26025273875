// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"roost.dev/roost/apis/config"
)

func validArgs() *config.VolumeLocalityArgs {
	return &config.VolumeLocalityArgs{
		DefaultPolicy: config.LocalityPreferred,
		Topology: []config.TopologyTier{
			{Label: "topology.kubernetes.io/rack", Weight: 50},
			{Label: "topology.kubernetes.io/zone", Weight: 25},
		},
		VolumeWeighting: config.VolumeWeightingEqual,
		DataNodesFirst:  true,
	}
}

func tiers(tiers ...config.TopologyTier) func(*config.VolumeLocalityArgs) {
	return func(args *config.VolumeLocalityArgs) { args.Topology = tiers }
}

func TestValidateVolumeLocalityArgsAccepts(t *testing.T) {
	tests := map[string]func(*config.VolumeLocalityArgs){
		"the usual arguments":              func(*config.VolumeLocalityArgs) {},
		"policy Required":                  func(args *config.VolumeLocalityArgs) { args.DefaultPolicy = config.LocalityRequired },
		"policy Avoid":                     func(args *config.VolumeLocalityArgs) { args.DefaultPolicy = config.LocalityAvoid },
		"policy Ignored":                   func(args *config.VolumeLocalityArgs) { args.DefaultPolicy = config.LocalityIgnored },
		"weighting by capacity":            func(args *config.VolumeLocalityArgs) { args.VolumeWeighting = config.VolumeWeightingCapacity },
		"the score alone decides":          func(args *config.VolumeLocalityArgs) { args.DataNodesFirst = false },
		"no tiers":                         tiers(),
		"the highest and the lowest score": tiers(config.TopologyTier{Label: "rack", Weight: 99}, config.TopologyTier{Label: "zone", Weight: 0}),
		"eight tiers": tiers(config.TopologyTier{Label: "a", Weight: 8}, config.TopologyTier{Label: "b", Weight: 7},
			config.TopologyTier{Label: "c", Weight: 6}, config.TopologyTier{Label: "d", Weight: 5},
			config.TopologyTier{Label: "e", Weight: 4}, config.TopologyTier{Label: "f", Weight: 3},
			config.TopologyTier{Label: "g", Weight: 2}, config.TopologyTier{Label: "h", Weight: 1}),
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			args := validArgs()
			change(args)
			if errs := ValidateVolumeLocalityArgs(field.NewPath("args"), args); len(errs) > 0 {
				t.Errorf("refused: %v", errs)
			}
		})
	}
}

var refusals = map[string]struct {
	change func(*config.VolumeLocalityArgs)
	want   string
}{
	"an unknown policy": {
		change: func(args *config.VolumeLocalityArgs) { args.DefaultPolicy = "preferred" },
		want:   `args.defaultPolicy: Unsupported value: "preferred": supported values: "Preferred", "Required", "Avoid", "Ignored"`,
	},
	"an unknown weighting": {
		change: func(args *config.VolumeLocalityArgs) { args.VolumeWeighting = "Size" },
		want:   `args.volumeWeighting: Unsupported value: "Size": supported values: "Equal", "Capacity"`,
	},
	"a negative weight": {
		change: tiers(config.TopologyTier{Label: "rack", Weight: -1}),
		want:   `args.topology[0].weight: Invalid value: -1: must be 0 to 99`,
	},
	"a weight that equals a replica's score": {
		change: tiers(config.TopologyTier{Label: "rack", Weight: 100}),
		want:   `args.topology[0].weight: Invalid value: 100: must be 0 to 99`,
	},
	"a farther tier that is worth more": {
		change: tiers(config.TopologyTier{Label: "rack", Weight: 25}, config.TopologyTier{Label: "zone", Weight: 50}),
		want: `args.topology[1].weight: Invalid value: 50: must be less than 25, the weight of the tier before it: ` +
			`nearer tiers come first and are worth more`,
	},
	"two tiers that are worth the same": {
		change: tiers(config.TopologyTier{Label: "rack", Weight: 25}, config.TopologyTier{Label: "zone", Weight: 25}),
		want: `args.topology[1].weight: Invalid value: 25: must be less than 25, the weight of the tier before it: ` +
			`nearer tiers come first and are worth more`,
	},
	"the same label twice": {
		change: tiers(config.TopologyTier{Label: "rack", Weight: 25}, config.TopologyTier{Label: "rack", Weight: 10}),
		want:   `args.topology[1].label: Duplicate value: "rack"`,
	},
	"a tier without a label": {
		change: tiers(config.TopologyTier{Weight: 25}),
		want:   `args.topology[0].label: Required value: the key of a node label, for example topology.kubernetes.io/zone`,
	},
	"a label that is no label key": {
		change: tiers(config.TopologyTier{Label: "my rack", Weight: 25}),
		want: `args.topology[0].label: Invalid value: "my rack": not a label key: name part must consist of alphanumeric characters, ` +
			`'-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', ` +
			`regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
	},
	"the node as a tier": {
		change: tiers(config.TopologyTier{Label: "kubernetes.io/hostname", Weight: 25}),
		want: `args.topology[0].label: Invalid value: "kubernetes.io/hostname": a node is already its own tier: ` +
			`a node with the replica itself scores 100`,
	},
	"nine tiers": {
		change: tiers(config.TopologyTier{Label: "a", Weight: 9}, config.TopologyTier{Label: "b", Weight: 8},
			config.TopologyTier{Label: "c", Weight: 7}, config.TopologyTier{Label: "d", Weight: 6},
			config.TopologyTier{Label: "e", Weight: 5}, config.TopologyTier{Label: "f", Weight: 4},
			config.TopologyTier{Label: "g", Weight: 3}, config.TopologyTier{Label: "h", Weight: 2},
			config.TopologyTier{Label: "i", Weight: 1}),
		want: `args.topology: Too many: 9: must have at most 8 items`,
	},
	"everything at once: every error is told": {
		change: func(args *config.VolumeLocalityArgs) {
			*args = config.VolumeLocalityArgs{
				DefaultPolicy: "", VolumeWeighting: "",
				Topology: []config.TopologyTier{{Weight: -2}, {Weight: -2}},
			}
		},
		want: `[args.defaultPolicy: Unsupported value: "": supported values: "Preferred", "Required", "Avoid", "Ignored", ` +
			`args.topology[0].label: Required value: the key of a node label, for example topology.kubernetes.io/zone, ` +
			`args.topology[0].weight: Invalid value: -2: must be 0 to 99, ` +
			`args.topology[1].label: Required value: the key of a node label, for example topology.kubernetes.io/zone, ` +
			`args.topology[1].weight: Invalid value: -2: must be 0 to 99, ` +
			`args.topology[1].weight: Invalid value: -2: must be less than -2, the weight of the tier before it: ` +
			`nearer tiers come first and are worth more, ` +
			`args.volumeWeighting: Unsupported value: "": supported values: "Equal", "Capacity"]`,
	},
}

func TestValidateVolumeLocalityArgsRefuses(t *testing.T) {
	for name, tc := range refusals {
		t.Run(name, func(t *testing.T) {
			args := validArgs()
			tc.change(args)
			before := args.DeepCopy()
			err := ValidateVolumeLocalityArgs(field.NewPath("args"), args).ToAggregate()
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, args); diff != "" {
				t.Errorf("validation changed the arguments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidateVolumeLocalityArgsWithoutPath(t *testing.T) {
	args := validArgs()
	args.VolumeWeighting = "Size"
	err := ValidateVolumeLocalityArgs(nil, args).ToAggregate()
	want := `volumeWeighting: Unsupported value: "Size": supported values: "Equal", "Capacity"`
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}
