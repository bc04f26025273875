// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/kubernetes/pkg/scheduler"
	schedulerperf "k8s.io/kubernetes/test/integration/scheduler_perf"
	"k8s.io/kubernetes/test/utils/ktesting"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"roost.dev/roost/drivers"
	"roost.dev/roost/plugins"
	"roost.dev/roost/test/perf/results"
)

const (
	// provisioner is the storage system of the benchmark.
	provisioner = "storage.example.com"
	// measured is the namespace of the pods that count.
	measured = "measured-0"
	// patience is how long the set-up waits for the scheduler to have seen what was made.
	patience = 2 * time.Minute
)

// world is what one scheduler finds, and what came of it.
type world struct {
	profile results.Profile
	drivers *plugins.Drivers

	shape    shape
	recorder *recorder
	// local and bound are counted from what the API server says in the end.
	local, bound int
	err          error
}

// shape is how a workload's parameters want it.
type shape struct {
	nodes, pods, volumes  int
	pinned, full, unbound bool
}

func shapeOf(w *schedulerperf.Workload) (shape, error) {
	var errs []error
	get := func(key string) int {
		value, err := w.GetParam(key)
		errs = append(errs, err)
		return value
	}
	s := shape{
		nodes: get("nodes"), pods: get("pods"), volumes: get("volumes"),
		pinned: get("pinned") == 1, full: get("full") == 1, unbound: get("unbound") == 1,
	}
	return s, errors.Join(errs...)
}

// installDefinitions runs once the API server is up.
func installDefinitions(tCtx ktesting.TContext) error {
	files, err := filepath.Glob(filepath.Join("..", "..", "manifests", "components", "crds", "*_*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no definitions of our kinds (%w)", err)
	}
	_, err = envtest.InstallCRDs(tCtx.RESTConfig(), envtest.CRDInstallOptions{Paths: files, MaxTime: time.Minute, PollInterval: 50 * time.Millisecond})
	return err
}

// fill runs once the nodes are there, and before any pod is. It returns when the scheduler knows of all that it made.
func (w *world) fill(tCtx ktesting.TContext, sched *scheduler.Scheduler, workload *schedulerperf.Workload, _ *corev1.NodeList) error {
	var err error
	if w.shape, err = shapeOf(workload); err != nil {
		return err
	}
	informers := sched.Profiles[corev1.DefaultSchedulerName].SharedInformerFactory()
	if err := w.make(tCtx, informers); err != nil {
		return err
	}
	if err := w.waitUntilSeen(tCtx, informers); err != nil {
		return err
	}
	if w.recorder, err = record(informers.Core().V1().Pods().Informer()); err != nil {
		return err
	}
	// Cleanups run in reverse: this one before the API server goes.
	tCtx.Cleanup(func() { w.local, w.bound, w.err = w.count(tCtx) })
	return nil
}

func (w *world) make(tCtx ktesting.TContext, informers informers.SharedInformerFactory) error {
	o, err := newObjects(tCtx, w.shape)
	if err != nil {
		return err
	}
	if err := o.makeStorage(tCtx); err != nil {
		return err
	}
	if w.shape.full {
		if err := o.fillNodes(tCtx); err != nil {
			return err
		}
	}
	if w.shape.unbound {
		if err := o.provision(tCtx, informers.Core().V1().PersistentVolumeClaims().Informer()); err != nil {
			return err
		}
		return o.makeClaims(tCtx)
	}
	return o.makeVolumes(tCtx)
}

func (w *world) waitUntilSeen(tCtx ktesting.TContext, informers informers.SharedInformerFactory) error {
	var registry *drivers.Registry
	if w.profile != results.Stock {
		var err error
		// The scheduler's plugins have made it by now: there is no handle to give.
		if registry, err = w.drivers.Registry(tCtx, nil); err != nil {
			return err
		}
	}
	seen := func() bool {
		claims, _ := informers.Core().V1().PersistentVolumeClaims().Lister().List(labels.Everything())
		volumes, _ := informers.Core().V1().PersistentVolumes().Lister().List(labels.Everything())
		pods, _ := informers.Core().V1().Pods().Lister().List(labels.Everything())
		csiNodes, _ := informers.Storage().V1().CSINodes().Lister().List(labels.Everything())
		return len(claims) == w.shape.claims() && len(volumes) == w.shape.boundVolumes() && len(pods) == w.shape.fillers() && len(csiNodes) == w.shape.nodes
	}
	known := 0
	err := wait.PollUntilContextTimeout(tCtx, 100*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		for registry != nil && known < w.shape.boundVolumes() && registry.Locate(w.shape.volumeID(known)).Knowledge == drivers.Known {
			known++
		}
		return seen() && (registry == nil || known == w.shape.boundVolumes()), nil
	})
	if err != nil {
		return fmt.Errorf("waiting until the scheduler knows of %+v, it knows where %d volumes are: %w", w.shape, known, err)
	}
	return nil
}

// count asks the API server where the pods are.
func (w *world) count(tCtx ktesting.TContext) (local, bound int, err error) {
	pods, err := tCtx.Client().CoreV1().Pods(measured).List(tCtx, metav1.ListOptions{})
	if err != nil {
		return 0, 0, fmt.Errorf("counting the pods: %w", err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Spec.NodeName == "" {
			continue
		}
		bound++
		if len(pod.Spec.Volumes) > 0 && !w.shape.unbound && slices.Contains(w.shape.dataNodes(podIndex(pod)), pod.Spec.NodeName) {
			local++
		}
	}
	return local, bound, nil
}

func (w *world) result() (results.Run, error) {
	if w.recorder == nil {
		return results.Run{}, errors.New("nothing was measured")
	}
	took, err := w.recorder.took(w.shape.pods)
	if err := errors.Join(err, w.err); err != nil {
		return results.Run{}, err
	}
	if w.bound != w.shape.pods {
		return results.Run{}, fmt.Errorf("the API server has %d pods on nodes, want %d", w.bound, w.shape.pods)
	}
	run := results.Run{Nodes: w.shape.nodes, Pods: w.shape.pods, Bound: w.bound, Seconds: took.Seconds()}
	if w.shape.volumes > 0 && !w.shape.unbound {
		run.Local = &w.local
	}
	return run, nil
}
