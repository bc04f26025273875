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
	volumeLocality = "VolumeLocality"
	storageHealth  = "StorageHealth"
	restoreGate    = "RestoreGate"
	pluginWeight   = 15
)

var (
	shippedConfig  = filepath.Join("components", "scheduler", "scheduler-config.yaml")
	defaultProfile = filepath.Join("examples", "default-profile.yaml")
)

// scoring has the extension points that decide about order and weight. What the real plugin does is not at stake here.
type scoring struct{ name string }

// standIn is scoring with a PostFilter, which also holds pods and keeps what it gave them.
type standIn struct{ scoring }

// gate holds pods, and no more.
type gate struct{}

var (
	_ fwk.PostFilterPlugin = standIn{}
	_ fwk.PreEnqueuePlugin = standIn{}
	_ fwk.ReservePlugin    = standIn{}
	_ fwk.FilterPlugin     = scoring{}
	_ fwk.ScorePlugin      = scoring{}
	_ fwk.PreEnqueuePlugin = gate{}
)

func (gate) Name() string { return restoreGate }

func (gate) PreEnqueue(context.Context, *corev1.Pod) *fwk.Status { return nil }

func (s scoring) Name() string { return s.name }

func (scoring) Filter(context.Context, fwk.CycleState, *corev1.Pod, fwk.NodeInfo) *fwk.Status {
	return nil
}

func (standIn) PostFilter(context.Context, fwk.CycleState, *corev1.Pod, fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	return nil, nil
}

func (standIn) PreEnqueue(context.Context, *corev1.Pod) *fwk.Status { return nil }

func (standIn) Reserve(context.Context, fwk.CycleState, *corev1.Pod, string) *fwk.Status { return nil }

func (standIn) Unreserve(context.Context, fwk.CycleState, *corev1.Pod, string) {}

func (scoring) Score(context.Context, fwk.CycleState, *corev1.Pod, fwk.NodeInfo) (int64, *fwk.Status) {
	return 0, nil
}

func (scoring) ScoreExtensions() fwk.ScoreExtensions { return nil }

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
		volumeLocality: func(context.Context, runtime.Object, fwk.Handle) (fwk.Plugin, error) {
			return standIn{scoring{volumeLocality}}, nil
		},
		storageHealth: func(context.Context, runtime.Object, fwk.Handle) (fwk.Plugin, error) {
			return scoring{storageHealth}, nil
		},
		restoreGate: func(context.Context, runtime.Object, fwk.Handle) (fwk.Plugin, error) {
			return gate{}, nil
		},
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
			if diff := cmp.Diff(append([]string{volumeLocality}, names(stock.PostFilter)...), names(got.PostFilter)); diff != "" {
				t.Errorf("PostFilter plugins (-want +got):\n%s", diff)
			}
			// Of one weight, because what one takes off is measured by what the other gives.
			wantScore := append(slices.Clone(stock.Score.Enabled),
				schedconfig.Plugin{Name: volumeLocality, Weight: pluginWeight}, schedconfig.Plugin{Name: storageHealth, Weight: pluginWeight})
			if diff := cmp.Diff(wantScore, got.Score.Enabled); diff != "" {
				t.Errorf("Score plugins (-want +got):\n%s", diff)
			}
			// After the stock ones, which leave fewer nodes to ask about.
			if diff := cmp.Diff(append(names(stock.Filter), volumeLocality, storageHealth), names(got.Filter)); diff != "" {
				t.Errorf("Filter plugins (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(append(names(stock.PreEnqueue), volumeLocality, restoreGate), names(got.PreEnqueue)); diff != "" {
				t.Errorf("PreEnqueue plugins (-want +got):\n%s", diff)
			}
			// After VolumeBinding, which decides first what a claim gets.
			if diff := cmp.Diff(append(names(stock.Reserve), volumeLocality), names(got.Reserve)); diff != "" {
				t.Errorf("Reserve plugins (-want +got):\n%s", diff)
			}
		})
	}
}

// The example shows every argument at its default, so it has to follow when a default changes.
func TestConfigurationsHaveDefaultArgs(t *testing.T) {
	locality, health := &config.VolumeLocalityArgs{}, &config.StorageHealthArgs{}
	convertDefaults(t, &configv1.VolumeLocalityArgs{}, locality)
	convertDefaults(t, &configv1.StorageHealthArgs{}, health)
	if errs := append(validation.ValidateVolumeLocalityArgs(nil, locality), validation.ValidateStorageHealthArgs(nil, health)...); len(errs) > 0 {
		t.Errorf("defaults: %v", errs)
	}
	for _, path := range []string{shippedConfig, defaultProfile} {
		cfg := loadConfig(t, path)
		for name, want := range map[string]runtime.Object{volumeLocality: locality, storageHealth: health} {
			if diff := cmp.Diff(want, argsOf(t, cfg, name)); diff != "" {
				t.Errorf("%s: arguments of %s (-default +got):\n%s", path, name, diff)
			}
		}
	}
}

// convertDefaults makes internal arguments of versioned ones in which nothing is set.
func convertDefaults(t *testing.T, versioned, internal runtime.Object) {
	t.Helper()
	configscheme.Scheme.Default(versioned)
	if err := configscheme.Scheme.Convert(versioned, internal, nil); err != nil {
		t.Fatal(err)
	}
}

func argsOf(t *testing.T, cfg *schedconfig.KubeSchedulerConfiguration, plugin string) runtime.Object {
	t.Helper()
	for _, pluginConfig := range cfg.Profiles[0].PluginConfig {
		if pluginConfig.Name == plugin {
			return pluginConfig.Args
		}
	}
	t.Fatalf("profile %q has no arguments of %s", cfg.Profiles[0].SchedulerName, plugin)
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
