// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	utilrand "k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/sets"
)

// maxDirLength keeps the path of the CSI socket below what a unix socket's address holds (104 bytes on some systems).
const maxDirLength = 90

// Component is a part of the sandbox that can be left out. Etcd and the API server cannot.
type Component string

const (
	// ControllerManager is kube-controller-manager. Without it, StatefulSets make no pods and claims are not bound.
	ControllerManager Component = "controller-manager"
	// StockScheduler is the kube-scheduler of Kubernetes, schedulerName default-scheduler.
	StockScheduler Component = "stock-scheduler"
	// RoostScheduler is our scheduler, schedulerName roost. StartScheduler can start it later.
	RoostScheduler Component = "roost-scheduler"
	// Kwok simulates the kubelets. Without it, nodes are Ready from the beginning, pods stay Pending once bound, and no
	// command can be run in them.
	Kwok Component = "kwok"
	// Storage is simstorage, the storage system.
	Storage Component = "storage"
	// Sidecars are csi-provisioner, csi-attacher and csi-snapshotter in front of simstorage, and the snapshot-controller
	// with its CustomResourceDefinitions, all for snapshots of one volume and of several.
	Sidecars Component = "sidecars"
	// RoostManager is our controller manager. StartManager can start it later.
	RoostManager Component = "roost-manager"
	// RoostCRDs are Roost's own CustomResourceDefinitions. InstallRoostCRDs can install them later.
	RoostCRDs Component = "roost-crds"
)

// Options say what the sandbox consists of. The zero value, with BinDir set, is everything and no nodes.
type Options struct {
	// BinDir is where `make build` puts the programs: ours, and those of Kubernetes in k8s/. Required.
	BinDir string
	// ManifestsDir is the repository's manifests folder. By default it is beside BinDir.
	ManifestsDir string
	// Dir is where everything is written. It must not exist or be empty, and is removed in the end. By default it is a new
	// directory in the system's temporary directory.
	Dir string
	// Nodes are the simulated nodes.
	Nodes Nodes
	// PoolCapacity is the size of every storage node's pool, 1Ti by default. Where it is set, csi-provisioner publishes how much
	// room there is, and the schedulers heed it.
	PoolCapacity resource.Quantity
	// Without are the components to leave out.
	Without sets.Set[Component]
	// SchedulerConfig is the KubeSchedulerConfiguration of our scheduler, in YAML. By default it is the shipped one. The
	// sandbox puts its own kubeconfig in and switches leader election off.
	SchedulerConfig string
	// ManagerConfig is the ControllerManagerConfiguration of our controller manager, as in ManagerOptions.
	ManagerConfig string
	// Begin is called before each step of the start, and Progress after it, from the goroutine that called Start.
	Begin    func(step string)
	Progress func(Step)
}

// Nodes describe the simulated nodes, node-000 and so on. Racks and zones are filled evenly, and a rack is in one zone.
type Nodes struct {
	// Count is how many there are.
	Count int
	// Zones and Racks are how many of each the nodes are spread over. 1 by default.
	Zones, Racks int
	// CPU, Memory and Pods are what each node has to give. By default 8, 32Gi and 110.
	CPU, Memory resource.Quantity
	Pods        int
	// Volumes is how many volumes of simstorage each node can attach. By default 64.
	Volumes int32
}

func (o Options) has(c Component) bool { return !o.Without.Has(c) }

func (o Options) withDefaults() Options {
	if o.Dir == "" {
		o.Dir = filepath.Join(os.TempDir(), "roost-sandbox-"+utilrand.String(8))
	}
	if o.ManifestsDir == "" {
		o.ManifestsDir = filepath.Join(o.BinDir, "..", "manifests")
	}
	if o.Begin == nil {
		o.Begin = func(string) {}
	}
	if o.Progress == nil {
		o.Progress = func(Step) {}
	}
	n := &o.Nodes
	n.Zones = max(n.Zones, 1)
	n.Racks = max(n.Racks, 1)
	if n.CPU.IsZero() {
		n.CPU = resource.MustParse("8")
	}
	if n.Memory.IsZero() {
		n.Memory = resource.MustParse("32Gi")
	}
	if n.Pods == 0 {
		n.Pods = 110
	}
	if n.Volumes == 0 {
		n.Volumes = 64
	}
	return o
}

// validate reports everything that is wrong with options that have their defaults.
func (o Options) validate() error {
	var errs []error
	if o.BinDir == "" {
		errs = append(errs, errors.New("BinDir is empty, must be the directory that make build fills"))
	}
	if dir, err := filepath.Abs(o.Dir); err != nil || len(dir) > maxDirLength {
		errs = append(errs, fmt.Errorf("directory %q, must have at most %d characters for a socket's path to fit", dir, maxDirLength))
	}
	n := o.Nodes
	if n.Count < 0 || n.Count > 5000 {
		errs = append(errs, fmt.Errorf("%d nodes, must be between 0 and 5000", n.Count))
	}
	if n.Racks < n.Zones || n.Racks%n.Zones != 0 {
		errs = append(errs, fmt.Errorf("%d racks in %d zones, must be a multiple: a rack is in one zone", n.Racks, n.Zones))
	}
	if n.Count > 0 && n.Count < n.Racks {
		errs = append(errs, fmt.Errorf("%d nodes in %d racks, must be at least one node a rack", n.Count, n.Racks))
	}
	return errors.Join(errs...)
}

// checkPrograms reports every program that the sandbox will need and `make build` has not made.
func (o Options) checkPrograms() error {
	needed := []string{"k8s/etcd", "k8s/kube-apiserver"}
	for component, programs := range map[Component][]string{
		ControllerManager: {"k8s/kube-controller-manager"},
		StockScheduler:    {"k8s/kube-scheduler"},
		RoostScheduler:    {"kube-scheduler"},
		RoostManager:      {"controller-manager"},
		Kwok:              {"k8s/kwok"},
		Storage:           {"simstorage"},
		Sidecars:          {"k8s/csi-provisioner", "k8s/csi-attacher", "k8s/csi-snapshotter", "k8s/snapshot-controller"},
	} {
		if o.has(component) {
			needed = append(needed, programs...)
		}
	}
	missing := sets.New[string]()
	for _, name := range needed {
		if info, err := os.Stat(o.program(name)); err != nil || info.IsDir() {
			missing.Insert(name)
		}
	}
	if missing.Len() > 0 {
		return fmt.Errorf("missing in %s: %s; `make build` makes them", o.BinDir, strings.Join(sets.List(missing), ", "))
	}
	return nil
}

// RepositoryBin is the bin directory of the repository that the working directory is in, for tests. ROOST_BIN names another.
func RepositoryBin() (string, error) {
	if bin := os.Getenv("ROOST_BIN"); bin != "" {
		return bin, nil
	}
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the working directory: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "bin"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod in %s or above it, must be in the repository", start)
		}
	}
}

// program is the path of a program, by its name below BinDir.
func (o Options) program(name string) string {
	return filepath.Join(o.BinDir, filepath.FromSlash(name))
}
