// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	schedulingv1alpha1 "sigs.k8s.io/scheduler-plugins/apis/scheduling/v1alpha1"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	storagev1alpha1 "roost.dev/roost/apis/storage/v1alpha1"
	"roost.dev/roost/internal/sandbox/podexec"
	"roost.dev/roost/test/simstorage/admin"
)

// Step is a part of the start that is done.
type Step struct {
	// Name says what was done.
	Name string
	// Took is how long it took.
	Took time.Duration
}

// Sandbox is a running control plane. Start makes one; Stop ends it.
type Sandbox struct {
	// Config connects as an administrator.
	Config *rest.Config
	// Kubeconfig is the path of the administrator's kubeconfig.
	Kubeconfig string
	// Client connects as an administrator and knows the kinds of Kubernetes, of Roost, of CSI snapshots, also of groups, and of pod
	// groups.
	Client client.WithWatch
	// Sim administers simstorage and makes its faults. It is nil without Storage.
	Sim *admin.Client
	// Manager is our controller manager as the start started it. It is nil without RoostManager.
	Manager *Manager

	opts         Options
	dir          directory
	watchdog     *watchdog
	controlPlane *controlPlane
	// kwokAddress is where kwok tells which nodes it simulates.
	kwokAddress string
	// execs runs commands in simulated pods. It is nil without kwok.
	execs *podexec.Server

	stop     sync.Once
	mu       sync.Mutex
	programs map[string]*program
	stopped  bool
	failure  error
	failed   chan struct{}
}

// Start starts a sandbox and returns once its nodes are Ready and its programs serve. Where something fails, or ctx ends
// before, everything is undone. A sandbox that has started does not depend on ctx.
func Start(ctx context.Context, opts Options) (*Sandbox, error) {
	opts = opts.withDefaults()
	if err := errors.Join(opts.validate(), opts.checkPrograms()); err != nil {
		return nil, fmt.Errorf("starting the sandbox: %w", err)
	}
	dir, err := newDirectory(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("starting the sandbox: %w", err)
	}
	s := &Sandbox{opts: opts, dir: dir, programs: map[string]*program{}, failed: make(chan struct{})}
	if err := s.bringUp(ctx); err != nil {
		s.Stop()
		return nil, fmt.Errorf("starting the sandbox: %w", err)
	}
	return s, nil
}

// bringUp takes every step of the start. A program that dies in the meantime ends it.
func (s *Sandbox) bringUp(ctx context.Context) error {
	var err error
	if s.watchdog, err = startWatchdog(s.dir); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-s.failed:
			cancel(s.Err())
		case <-ctx.Done():
		}
	}()
	for _, step := range s.steps() {
		if step.skip {
			continue
		}
		s.opts.Begin(step.name)
		start := clock.RealClock{}.Now()
		if err := step.run(ctx); err != nil {
			return s.firstCause(ctx, err)
		}
		s.opts.Progress(Step{Name: step.name, Took: clock.RealClock{}.Since(start)})
	}
	return s.Err()
}

// firstCause prefers the death of a program to what followed from it.
func (s *Sandbox) firstCause(ctx context.Context, err error) error {
	if failure := s.Err(); failure != nil {
		return failure
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

type startStep struct {
	name string
	skip bool
	run  func(context.Context) error
}

func (s *Sandbox) steps() []startStep {
	o := s.opts
	return []startStep{
		{name: "etcd and kube-apiserver", run: s.startControlPlane},
		{name: "custom resources and classes", run: s.installDefinitions},
		{name: "storage: simstorage", skip: !o.has(Storage), run: s.startStorage},
		{name: "storage: CSI sidecars", skip: !o.has(Sidecars), run: s.startSidecars},
		{name: "kube-controller-manager", skip: !o.has(ControllerManager), run: s.startControllerManager},
		{name: "scheduler: stock", skip: !o.has(StockScheduler), run: s.startStockScheduler},
		{name: fmt.Sprintf("%d nodes, %d racks, %d zones", o.Nodes.Count, o.Nodes.Racks, o.Nodes.Zones),
			skip: o.Nodes.Count == 0, run: s.bringUpNodes},
		{name: "scheduler: Roost", skip: !o.has(RoostScheduler), run: func(ctx context.Context) error {
			return s.StartScheduler(ctx, o.SchedulerConfig)
		}},
		{name: "controller manager: Roost", skip: !o.has(RoostManager), run: func(ctx context.Context) error {
			var err error
			s.Manager, err = s.StartManager(ctx, ManagerOptions{Config: o.ManagerConfig})
			return err
		}},
	}
}

func (s *Sandbox) startControlPlane(ctx context.Context) error {
	var err error
	if s.controlPlane, err = startControlPlane(ctx, s.dir, s.opts, s.fail); err != nil {
		return err
	}
	if s.Config, s.Kubeconfig, err = s.addUser("admin", envtest.User{Name: "admin", Groups: []string{"system:masters"}}); err != nil {
		return err
	}
	s.Config.WarningHandler = rest.NoWarnings{}
	if s.Client, err = client.NewWithWatch(s.Config, client.Options{Scheme: newScheme()}); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return nil
}

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientscheme.AddToScheme(scheme))
	utilruntime.Must(storagev1alpha1.AddToScheme(scheme))
	utilruntime.Must(snapshotv1.AddToScheme(scheme))
	utilruntime.Must(groupsnapshotv1.AddToScheme(scheme))
	utilruntime.Must(snapshotv1alpha1.AddToScheme(scheme))
	utilruntime.Must(schedulingv1alpha1.AddToScheme(scheme))
	return scheme
}

// addUser writes a kubeconfig for a new user, to the file with the given name.
func (s *Sandbox) addUser(file string, user envtest.User) (*rest.Config, string, error) {
	config, kubeconfig, err := s.controlPlane.addUser(user)
	if err != nil {
		return nil, "", err
	}
	path := s.dir.kubeconfig(file)
	if err := os.WriteFile(path, kubeconfig, 0o600); err != nil {
		return nil, "", fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return config, path, nil
}

func (s *Sandbox) installDefinitions(ctx context.Context) error {
	var crds []string
	if s.opts.has(RoostCRDs) {
		crds = append(crds, s.roostCRDs())
	}
	if s.opts.has(Sidecars) {
		crds = append(crds, s.snapshotCRDs())
	}
	if err := s.installCRDs(crds...); err != nil {
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: roostNamespace}}
	for _, object := range append(s.storageObjects(), namespace) {
		if err := s.Client.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %T %s: %w", object, object.GetName(), err)
		}
	}
	if !s.opts.has(RoostCRDs) {
		return nil
	}
	return s.apply(ctx, filepath.Join(s.opts.ManifestsDir, "components", "admission", "policies.yaml"))
}

func (s *Sandbox) bringUpNodes(ctx context.Context) error {
	if s.opts.has(Kwok) {
		if err := s.startKwok(ctx); err != nil {
			return err
		}
		if err := s.startExecs(); err != nil {
			return err
		}
	}
	if err := s.createNodes(ctx); err != nil {
		return err
	}
	return s.waitForNodes(ctx)
}

// start starts a program of BinDir. It is reported where it dies.
func (s *Sandbox) start(ctx context.Context, spec programSpec) error {
	return s.startAndWait(ctx, spec, func() bool { return true })
}

// startAndWait starts a program of BinDir and waits until it is ready. One that dies before is an error of the start alone;
// one that dies after makes the sandbox fail.
func (s *Sandbox) startAndWait(ctx context.Context, spec programSpec, ready func() bool) error {
	_, err := s.launch(ctx, spec, ready)
	return err
}

func (s *Sandbox) launch(ctx context.Context, spec programSpec, ready func() bool) (*program, error) {
	spec.path = s.opts.program(spec.path)
	p, err := s.add(spec)
	if err != nil {
		return nil, err
	}
	if err := p.waitUntil(ctx, readyTimeout, ready); err != nil {
		s.end(p)
		return nil, err
	}
	p.reportDeath(s.fail)
	return p, nil
}

// add starts a program, so that Stop knows of it from then on.
func (s *Sandbox) add(spec programSpec) (*program, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil, fmt.Errorf("starting %s: the sandbox is stopped", spec.name)
	}
	if s.programs[spec.name] != nil {
		return nil, fmt.Errorf("starting %s: it is running already", spec.name)
	}
	p, err := startProgram(s.dir, spec)
	if err != nil {
		return nil, err
	}
	s.programs[spec.name] = p
	return p, nil
}

// end stops a program, unless it is nil.
func (s *Sandbox) end(p *program) {
	if p != nil {
		s.forget(p)
		p.stop()
	}
}

// forget makes room for another program with the same name.
func (s *Sandbox) forget(p *program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.programs[p.name] == p {
		delete(s.programs, p.name)
	}
}

// program is the one with that name that was started last and has not been stopped, or nil.
func (s *Sandbox) program(name string) *program {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.programs[name]
}

// fail notes the first program that died.
func (s *Sandbox) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil && !s.stopped {
		s.failure = err
		close(s.failed)
	}
}

// Failed is closed when a program of the sandbox has ended by itself. Err then tells which.
func (s *Sandbox) Failed() <-chan struct{} { return s.failed }

// Err names the program that ended by itself, with the end of its log. It is nil while all run.
func (s *Sandbox) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// Dir is where the sandbox keeps its files.
func (s *Sandbox) Dir() string { return string(s.dir) }

// LogPath is the log of a program, by its name: etcd, kube-apiserver, roost-scheduler and so on.
func (s *Sandbox) LogPath(program string) string { return s.dir.log(program) }

// Stop ends every program, the API server last, and removes the sandbox's directory. It may be called more than once.
func (s *Sandbox) Stop() { s.stop.Do(s.tearDown) }

func (s *Sandbox) tearDown() {
	s.mu.Lock()
	s.stopped = true
	programs := s.programs
	s.programs = map[string]*program{}
	s.mu.Unlock()
	if s.execs != nil {
		s.execs.Close()
	}
	var stopping sync.WaitGroup
	for _, p := range programs {
		stopping.Go(p.stop)
	}
	stopping.Wait()
	if s.controlPlane != nil {
		s.controlPlane.stop()
	}
	_ = os.RemoveAll(string(s.dir))
	if s.watchdog != nil {
		s.watchdog.release()
	}
}
