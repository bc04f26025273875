// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler"
	schedconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	schedvalidation "k8s.io/kubernetes/pkg/scheduler/apis/config/validation"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/profile"

	"roost.dev/roost/apis/config"
	configscheme "roost.dev/roost/apis/config/scheme"
	configv1 "roost.dev/roost/apis/config/v1"
	"roost.dev/roost/apis/config/validation"
)

const (
	pluginName   = "VolumeLocality"
	pluginWeight = 15
)

var (
	shippedConfig  = filepath.Join("components", "scheduler", "scheduler-config.yaml")
	defaultProfile = filepath.Join("examples", "default-profile.yaml")
)

// standIn has the extension points that decide about order and weight. What the real plugin does is not at stake here.
type standIn struct{}

var (
	_ fwk.PostFilterPlugin = standIn{}
	_ fwk.ScorePlugin      = standIn{}
)

func (standIn) Name() string { return pluginName }

func (standIn) PostFilter(context.Context, fwk.CycleState, *corev1.Pod, fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	return nil, nil
}

func (standIn) Score(context.Context, fwk.CycleState, *corev1.Pod, fwk.NodeInfo) (int64, *fwk.Status) {
	return 0, nil
}

func (standIn) ScoreExtensions() fwk.ScoreExtensions { return nil }

func loadConfig(t *testing.T, path string) *schedconfig.KubeSchedulerConfiguration {
	t.Helper()
	object, err := runtime.Decode(configscheme.Codecs.UniversalDecoder(), readFile(t, path))
	if err != nil {
		t.Fatal(err)
	}
	cfg, ok := object.(*schedconfig.KubeSchedulerConfiguration)
	if !ok {
		t.Fatalf("decoded a %T", object)
	}
	return cfg
}

// plugins starts a scheduler with these profiles and gives its plugins at each extension point. No profiles: the stock one.
func plugins(t *testing.T, profiles ...schedconfig.KubeSchedulerProfile) map[string]*schedconfig.Plugins {
	t.Helper()
	options := []scheduler.Option{scheduler.WithFrameworkOutOfTreeRegistry(frameworkruntime.Registry{
		pluginName: func(context.Context, runtime.Object, fwk.Handle) (fwk.Plugin, error) { return standIn{}, nil },
	})}
	if len(profiles) > 0 {
		options = append(options, scheduler.WithProfiles(profiles...))
	}
	client := fake.NewClientset()
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: client.EventsV1()})
	sched, err := scheduler.New(t.Context(), client, informers.NewSharedInformerFactory(client, 0), nil,
		profile.NewRecorderFactory(broadcaster), options...)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*schedconfig.Plugins{}
	for name, framework := range sched.Profiles {
		found[name] = framework.ListPlugins()
	}
	return found
}

func names(set schedconfig.PluginSet) []string {
	var names []string
	for _, plugin := range set.Enabled {
		names = append(names, plugin.Name)
	}
	return names
}

func TestConfigurations(t *testing.T) {
	tests := map[string]struct {
		path          string
		wantScheduler string
	}{
		"shipped, as a second scheduler":  {path: shippedConfig, wantScheduler: "roost"},
		"example, as the default profile": {path: defaultProfile, wantScheduler: corev1.DefaultSchedulerName},
	}
	stock := plugins(t)[corev1.DefaultSchedulerName]
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := loadConfig(t, tc.path)
			if err := schedvalidation.ValidateKubeSchedulerConfiguration(cfg); err != nil {
				t.Fatal(err)
			}
			got, found := plugins(t, cfg.Profiles...)[tc.wantScheduler]
			if !found {
				t.Fatalf("no profile %q", tc.wantScheduler)
			}
			// Before DefaultPreemption, or pods would be preempted only to be local.
			if diff := cmp.Diff(append([]string{pluginName}, names(stock.PostFilter)...), names(got.PostFilter)); diff != "" {
				t.Errorf("PostFilter plugins (-want +got):\n%s", diff)
			}
			wantScore := append(slices.Clone(stock.Score.Enabled), schedconfig.Plugin{Name: pluginName, Weight: pluginWeight})
			if diff := cmp.Diff(wantScore, got.Score.Enabled); diff != "" {
				t.Errorf("Score plugins (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(names(stock.Filter), names(got.Filter)); diff != "" {
				t.Errorf("Filter plugins (-stock +got):\n%s", diff)
			}
		})
	}
}

// The example shows every argument at its default, so it has to follow when a default changes.
func TestConfigurationsHaveDefaultArgs(t *testing.T) {
	var versioned configv1.VolumeLocalityArgs
	configscheme.Scheme.Default(&versioned)
	var want config.VolumeLocalityArgs
	if err := configscheme.Scheme.Convert(&versioned, &want, nil); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{shippedConfig, defaultProfile} {
		args := volumeLocalityArgs(t, loadConfig(t, path))
		if diff := cmp.Diff(&want, args); diff != "" {
			t.Errorf("%s: arguments (-default +got):\n%s", path, diff)
		}
		if errs := validation.ValidateVolumeLocalityArgs(field.NewPath("args"), args); len(errs) > 0 {
			t.Errorf("%s: %v", path, errs)
		}
	}
}

func volumeLocalityArgs(t *testing.T, cfg *schedconfig.KubeSchedulerConfiguration) *config.VolumeLocalityArgs {
	t.Helper()
	for _, pluginConfig := range cfg.Profiles[0].PluginConfig {
		if args, ok := pluginConfig.Args.(*config.VolumeLocalityArgs); ok && pluginConfig.Name == pluginName {
			return args
		}
	}
	t.Fatalf("profile %q has no arguments of %s", cfg.Profiles[0].SchedulerName, pluginName)
	return nil
}

func TestLeaseIsTheOneThatTheRoleNames(t *testing.T) {
	election := loadConfig(t, shippedConfig).LeaderElection
	role := one[*rbacv1.Role](t, decodeFile(t, "components", "scheduler", "rbac.yaml"))
	if !election.LeaderElect {
		t.Error("leader election is off, but the Deployment has more than one replica")
	}
	if election.ResourceNamespace != role.Namespace {
		t.Errorf("lease is in %q, the Role in %q", election.ResourceNamespace, role.Namespace)
	}
	if got, want := role.Rules[1].ResourceNames, []string{election.ResourceName}; !slices.Equal(got, want) {
		t.Errorf("the Role names the leases %q, want %q", got, want)
	}
}

// The scheduler's profile in the example of a second scheduler must be one that the shipped configuration has.
func TestExampleUsesTheShippedProfile(t *testing.T) {
	set := one[*appsv1.StatefulSet](t, decodeFile(t, "examples", "second-scheduler.yaml"))
	if got, want := set.Spec.Template.Spec.SchedulerName, loadConfig(t, shippedConfig).Profiles[0].SchedulerName; got != want {
		t.Errorf("schedulerName = %q, want %q", got, want)
	}
	const annotation = "roost.dev/locality"
	if _, found := set.Spec.Template.Annotations[annotation]; !found {
		t.Errorf("the pods have no annotation %s", annotation)
	}
}
