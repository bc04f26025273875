// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
)

func TestValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		opts Options
		want []string
	}{
		"the demo's nodes": {
			opts: Options{BinDir: "bin", Nodes: Nodes{Count: 300, Zones: 3, Racks: 30}},
		},
		"no nodes at all": {
			opts: Options{BinDir: "bin"},
		},
		"everything wrong is told at once": {
			opts: Options{Dir: strings.Repeat("d", maxDirLength+1), Nodes: Nodes{Count: -1, Zones: 3, Racks: 4}},
			want: []string{"BinDir is empty", "must have at most 90 characters", "-1 nodes, must be between 0 and 5000", "4 racks in 3 zones, must be a multiple"},
		},
		"fewer racks than zones": {
			opts: Options{BinDir: "bin", Nodes: Nodes{Count: 10, Zones: 3, Racks: 1}},
			want: []string{"1 racks in 3 zones"},
		},
		"racks without a node": {
			opts: Options{BinDir: "bin", Nodes: Nodes{Count: 5, Zones: 1, Racks: 6}},
			want: []string{"5 nodes in 6 racks, must be at least one node a rack"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.opts.withDefaults().validate()
			if (err != nil) != (len(tc.want) > 0) {
				t.Fatalf("validate() = %v, want an error: %t", err, len(tc.want) > 0)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("validate() = %q, want it to contain %q", err, want)
				}
			}
		})
	}
}

func TestCheckProgramsNamesWhatIsMissing(t *testing.T) {
	bin := t.TempDir()
	for _, name := range []string{"k8s/etcd", "k8s/kube-apiserver", "k8s/kwok"} {
		path := filepath.Join(bin, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	err := Options{BinDir: bin, Without: sets.New(Sidecars, ControllerManager, RoostScheduler)}.checkPrograms()
	want := "missing in " + bin + ": controller-manager, k8s/kube-scheduler, simstorage; `make build` makes them"
	if err == nil || err.Error() != want {
		t.Errorf("checkPrograms() = %v, want %q", err, want)
	}
	without := sets.New(Sidecars, ControllerManager, RoostScheduler, StockScheduler, Storage, RoostManager)
	if err := (Options{BinDir: bin, Without: without}).checkPrograms(); err != nil {
		t.Errorf("checkPrograms() = %v without the components whose programs are missing, want nil", err)
	}
}

func TestNewDirectoryRefusesOneThatHoldsSomething(t *testing.T) {
	path := t.TempDir()
	precious := filepath.Join(path, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newDirectory(path); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("newDirectory() = %v, want a refusal", err)
	}
	if entries, _ := os.ReadDir(path); len(entries) != 1 {
		t.Errorf("directory holds %d entries after the refusal, want only what was there", len(entries))
	}
}

func TestRepositoryBin(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	deep := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(deep)
	t.Setenv("ROOST_BIN", "")
	if got, err := RepositoryBin(); err != nil || got != filepath.Join(root, "bin") {
		t.Errorf("RepositoryBin() = %q, %v, want the bin directory beside go.mod", got, err)
	}
	t.Setenv("ROOST_BIN", "/elsewhere")
	if got, err := RepositoryBin(); err != nil || got != "/elsewhere" {
		t.Errorf("RepositoryBin() = %q, %v, want what ROOST_BIN says", got, err)
	}
}
