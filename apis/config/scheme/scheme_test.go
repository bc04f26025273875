// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package scheme

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	schedconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	schedscheme "k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"
	schedconfigv1 "k8s.io/kubernetes/pkg/scheduler/apis/config/v1"
	"sigs.k8s.io/yaml"

	"roost.dev/roost/apis/config"
)

const header = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: roost
  plugins:
    multiPoint:
      enabled:
      - name: VolumeLocality
        weight: 15
`

func defaultArgs() *config.VolumeLocalityArgs {
	return &config.VolumeLocalityArgs{
		DefaultPolicy: config.LocalityPreferred,
		Topology: []config.TopologyTier{
			{Label: "topology.kubernetes.io/rack", Weight: 50},
			{Label: "topology.kubernetes.io/zone", Weight: 25},
			{Label: "topology.kubernetes.io/region", Weight: 10},
		},
		VolumeWeighting: config.VolumeWeightingEqual,
		DataNodesFirst:  true,
	}
}

// pluginConfig is a configuration whose profile gives VolumeLocality these arguments, written as YAML in flow style.
func pluginConfig(fields string) string {
	return header + "  pluginConfig:\n  - name: VolumeLocality\n    args: " + fields + "\n"
}

// decode reads a configuration as kube-scheduler does, with kube-scheduler's own codecs and not with ours.
func decode(t *testing.T, text string) (*schedconfig.KubeSchedulerConfiguration, error) {
	t.Helper()
	obj, err := runtime.Decode(schedscheme.Codecs.UniversalDecoder(), []byte(text))
	if err != nil {
		return nil, err
	}
	cfg, ok := obj.(*schedconfig.KubeSchedulerConfiguration)
	if !ok {
		t.Fatalf("decoded a %T, want a KubeSchedulerConfiguration", obj)
	}
	return cfg, nil
}

// argsOf gives the arguments that the plugin's New receives.
func argsOf(cfg *schedconfig.KubeSchedulerConfiguration, plugin string) (runtime.Object, error) {
	for _, pc := range cfg.Profiles[0].PluginConfig {
		if pc.Name == plugin {
			return pc.Args, nil
		}
	}
	return nil, fmt.Errorf("no pluginConfig for %s", plugin)
}

func TestConfigurationGivesTypedArgs(t *testing.T) {
	tests := map[string]struct {
		text string
		want func(*config.VolumeLocalityArgs)
	}{
		"no pluginConfig: the defaults": {
			text: header,
			want: func(*config.VolumeLocalityArgs) {},
		},
		"empty arguments: the defaults": {
			text: pluginConfig("{}"),
			want: func(*config.VolumeLocalityArgs) {},
		},
		"kind and version written out": {
			text: pluginConfig("{apiVersion: kubescheduler.config.k8s.io/v1, kind: VolumeLocalityArgs, defaultPolicy: Avoid}"),
			want: func(args *config.VolumeLocalityArgs) { args.DefaultPolicy = config.LocalityAvoid },
		},
		"every field set": {
			text: pluginConfig("{defaultPolicy: Required, topology: [{label: example.com/row, weight: 60}, {label: example.com/hall, weight: 5}], " +
				"volumeWeighting: Capacity, dataNodesFirst: false}"),
			want: func(args *config.VolumeLocalityArgs) {
				*args = config.VolumeLocalityArgs{
					DefaultPolicy:   config.LocalityRequired,
					Topology:        []config.TopologyTier{{Label: "example.com/row", Weight: 60}, {Label: "example.com/hall", Weight: 5}},
					VolumeWeighting: config.VolumeWeightingCapacity,
				}
			},
		},
		"an empty topology means no tiers": {
			text: pluginConfig("{topology: []}"),
			want: func(args *config.VolumeLocalityArgs) { args.Topology = []config.TopologyTier{} },
		},
		"a null topology is one that was left out": {
			text: pluginConfig("{topology: null}"),
			want: func(*config.VolumeLocalityArgs) {},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			cfg, err := decode(t, tc.text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := argsOf(cfg, "VolumeLocality")
			if err != nil {
				t.Fatal(err)
			}
			want := defaultArgs()
			tc.want(want)
			if diff := cmp.Diff(runtime.Object(want), got); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

// storageHealthConfig is a configuration whose profile gives StorageHealth these arguments, written as YAML in flow style.
func storageHealthConfig(fields string) string {
	return strings.ReplaceAll(pluginConfig(fields), "VolumeLocality", "StorageHealth")
}

func TestConfigurationGivesStorageHealthArgs(t *testing.T) {
	defaults := &config.StorageHealthArgs{RequireRegistration: true, DegradedPenalty: 50, StorageDownPenalty: 75, SuspectPenalty: 50}
	tests := map[string]struct {
		text string
		want *config.StorageHealthArgs
	}{
		"no pluginConfig: the defaults":  {text: strings.ReplaceAll(header, "VolumeLocality", "StorageHealth"), want: defaults},
		"empty arguments: the defaults":  {text: storageHealthConfig("{}"), want: defaults},
		"every field set, to no penalty": {text: storageHealthConfig("{requireRegistration: false, degradedPenalty: 0, storageDownPenalty: 0, suspectPenalty: 0}"), want: &config.StorageHealthArgs{}},
		"every field set": {
			text: storageHealthConfig("{requireRegistration: true, degradedPenalty: 1, storageDownPenalty: 2, suspectPenalty: 3}"),
			want: &config.StorageHealthArgs{RequireRegistration: true, DegradedPenalty: 1, StorageDownPenalty: 2, SuspectPenalty: 3},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			cfg, err := decode(t, tc.text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := argsOf(cfg, "StorageHealth")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(runtime.Object(tc.want), got); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConfigurationRefusesBadArgs(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"an unknown field":                  {text: pluginConfig("{defaultPolcy: Required}"), want: []string{"strict decoding error", `unknown field "defaultPolcy"`}},
		"an unknown field of a tier":        {text: pluginConfig("{topology: [{key: example.com/row}]}"), want: []string{"strict decoding error", `unknown field "topology[0].key"`}},
		"a field in the wrong case":         {text: pluginConfig("{DefaultPolicy: Required}"), want: []string{"strict decoding error", `unknown field "DefaultPolicy"`}},
		"a word where a bool belongs":       {text: pluginConfig("{dataNodesFirst: first}"), want: []string{"cannot unmarshal string", "dataNodesFirst of type bool"}},
		"a word where a list belongs":       {text: pluginConfig("{topology: rack}"), want: []string{"cannot unmarshal string", "topology of type []v1.TopologyTier"}},
		"a fraction as a weight":            {text: pluginConfig("{topology: [{label: example.com/row, weight: 0.5}]}"), want: []string{"cannot unmarshal number 0.5", "weight of type int32"}},
		"an unknown field of StorageHealth": {text: storageHealthConfig("{offlinePenalty: 100}"), want: []string{"strict decoding error", `unknown field "offlinePenalty"`}},
		"a word as a penalty":               {text: storageHealthConfig("{degradedPenalty: all}"), want: []string{"cannot unmarshal string", "degradedPenalty of type int32"}},
		"the kind of another plugin":        {text: pluginConfig("{apiVersion: kubescheduler.config.k8s.io/v1, kind: VolumeBindingArgs}"), want: []string{"VolumeBindingArgs"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := decode(t, tc.text)
			if err == nil {
				t.Fatal("decoded without an error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
		})
	}
}

// kube-scheduler writes its configuration out (--write-config-to and /configz), and what it wrote must mean the same.
func TestConfigurationRoundTrip(t *testing.T) {
	tests := map[string]string{
		"defaults":          header,
		"an empty topology": pluginConfig("{topology: []}"),
		"no penalties":      storageHealthConfig("{requireRegistration: false, degradedPenalty: 0, storageDownPenalty: 0, suspectPenalty: 0}"),
		"every field set":   pluginConfig("{defaultPolicy: Ignored, topology: [{label: example.com/row, weight: 0}], volumeWeighting: Capacity, dataNodesFirst: false}"),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			want, err := decode(t, text)
			if err != nil {
				t.Fatal(err)
			}
			written, err := runtime.Encode(Codecs.LegacyCodec(schedconfigv1.SchemeGroupVersion), want.DeepCopy())
			if err != nil {
				t.Fatal(err)
			}
			written, err = yaml.JSONToYAML(written)
			if err != nil {
				t.Fatal(err)
			}
			got, err := decode(t, string(written))
			if err != nil {
				t.Fatalf("reading what was written: %v\n%s", err, written)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("after a round trip (-want +got):\n%s", diff)
			}
		})
	}
}

// Sharing memory between an object and its copy would let one profile change another.
func TestDeepCopyIsDeep(t *testing.T) {
	original := defaultArgs()
	duplicate := original.DeepCopy()
	duplicate.Topology[0].Weight = 1
	if diff := cmp.Diff(defaultArgs(), original); diff != "" {
		t.Errorf("the original changed with its copy (-want +got):\n%s", diff)
	}
}
