// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
)

// readyMadeHooks are the files of examples/hooks, and whether theirs keep the application still: then they have a thaw.
var readyMadeHooks = map[string]bool{
	"cassandra.yaml":     false,
	"elasticsearch.yaml": false,
	"fsfreeze.yaml":      true,
	"kafka.yaml":         false,
	"mongodb.yaml":       true,
	"mysql.yaml":         true,
	"postgresql.yaml":    false,
	"redis.yaml":         true,
}

// hooksIn decodes a file, with no field in it that the API does not have.
func hooksIn(t *testing.T, name string) *snapshotv1alpha1.ApplicationSnapshot {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := snapshotv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	object, err := runtime.Decode(decoder, readFile(t, "examples", "hooks", name))
	if err != nil {
		t.Fatal(err)
	}
	snapshot, ok := object.(*snapshotv1alpha1.ApplicationSnapshot)
	if !ok {
		t.Fatalf("it is a %T", object)
	}
	return snapshot
}

func TestReadyMadeHooks(t *testing.T) {
	files, err := os.ReadDir(filepath.Join("examples", "hooks"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		names = append(names, file.Name())
		if _, ok := readyMadeHooks[file.Name()]; !ok {
			t.Errorf("%s is not in the table of this test", file.Name())
		}
	}
	if len(names) != len(readyMadeHooks) {
		t.Errorf("found %v", names)
	}
	for name, holds := range readyMadeHooks {
		t.Run(name, func(t *testing.T) {
			snapshot := hooksIn(t, name)
			if snapshot.Spec.Hooks == nil || len(snapshot.Spec.Hooks.Commands) == 0 {
				t.Fatal("no hooks in it")
			}
			for i := range snapshot.Spec.Hooks.Commands {
				checkHook(t, snapshot.Spec.Hooks, &snapshot.Spec.Hooks.Commands[i], holds)
			}
			text := string(readFile(t, "examples", "hooks", name))
			for _, part := range []string{"# Guarantees: ", "# Does not guarantee: ", "# Needs"} {
				if !strings.Contains(text, part) {
					t.Errorf("it does not say %q", part)
				}
			}
		})
	}
}

func checkHook(t *testing.T, hooks *snapshotv1alpha1.Hooks, hook *snapshotv1alpha1.Hook, holds bool) {
	t.Helper()
	if len(hook.Freeze) == 0 || (len(hook.Thaw) > 0) != holds {
		t.Errorf("hook %s: freeze %q, thaw %q", hook.Name, hook.Freeze, hook.Thaw)
	}
	if holds && hook.Timer == snapshotv1alpha1.FreezeTimerNone {
		t.Errorf("hook %s has no timer", hook.Name)
	}
	if limit := hooks.MaxFreeze.Duration; hook.Timeout.Duration >= limit || limit > 5*time.Minute {
		t.Errorf("hook %s: a timeout of %s within %s", hook.Name, hook.Timeout.Duration, limit)
	}
	for _, command := range [][]string{hook.Freeze, hook.Thaw} {
		if len(command) == 0 || command[0] != "sh" {
			continue
		}
		if output, err := exec.CommandContext(t.Context(), "sh", append([]string{"-n"}, command[1:]...)...).CombinedOutput(); err != nil {
			t.Errorf("hook %s: %v: %s", hook.Name, err, output)
		}
	}
}

// thawTests play a thaw with a client that a script stands in for. It logs its arguments to $LOG.
var thawTests = map[string]struct {
	file, client, script string
	wantLog              string
	wantErr              bool
}{
	"a filesystem that is frozen":    {file: "fsfreeze.yaml", client: "fsfreeze", wantLog: "--unfreeze /data\n"},
	"a filesystem that is not":       {file: "fsfreeze.yaml", client: "fsfreeze", script: "echo 'fsfreeze: /data: unfreeze failed: Invalid argument'; exit 1", wantLog: "--unfreeze /data\n"},
	"a filesystem that does not say": {file: "fsfreeze.yaml", client: "fsfreeze", script: "echo 'fsfreeze: cannot open /data: Permission denied'; exit 1", wantLog: "--unfreeze /data\n", wantErr: true},
	"a MySQL that is locked": {
		file: "mysql.yaml", client: "mysql",
		script:  `printf '8\troot\tlocalhost\tNULL\tSleep\t1\t\tNULL\n17\troot\tlocalhost\tNULL\tQuery\t1\tUser sleep\tSELECT SLEEP(60) AS roost_freeze\n'`,
		wantLog: "-uroot -NBe SHOW FULL PROCESSLIST\n-uroot -e KILL 17\n",
	},
	"a MySQL that waits for the lock": {
		file: "mysql.yaml", client: "mysql",
		script:  `printf '18\troot\tlocalhost\tNULL\tQuery\t1\tWaiting for global read lock\tFLUSH TABLES WITH READ LOCK /* roost_freeze */\n'`,
		wantLog: "-uroot -NBe SHOW FULL PROCESSLIST\n-uroot -e KILL 18\n",
	},
	"a MySQL that is not":       {file: "mysql.yaml", client: "mysql", script: `printf '8\troot\tlocalhost\tNULL\tSleep\t1\t\tNULL\n'`, wantLog: "-uroot -NBe SHOW FULL PROCESSLIST\n"},
	"a MySQL that is not there": {file: "mysql.yaml", client: "mysql", script: "exit 1", wantLog: "-uroot -NBe SHOW FULL PROCESSLIST\n", wantErr: true},
	"a Redis":                   {file: "redis.yaml", client: "redis-cli", script: "echo OK", wantLog: "CLIENT UNPAUSE\n"},
	"a Redis that refuses":      {file: "redis.yaml", client: "redis-cli", script: "echo 'NOAUTH Authentication required.'", wantLog: "CLIENT UNPAUSE\n", wantErr: true},
}

// Where nothing is frozen a thaw succeeds; where that is not known it does not.
func TestReadyMadeThaws(t *testing.T) {
	for name, tc := range thawTests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			log := filepath.Join(dir, "log")
			script := "#!/bin/sh\necho \"$*\" >>\"$LOG\"\n" + tc.script + "\n"
			if err := os.WriteFile(filepath.Join(dir, tc.client), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			thaw := hooksIn(t, tc.file).Spec.Hooks.Commands[0].Thaw
			command := exec.CommandContext(t.Context(), thaw[0], thaw[1:]...)
			command.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "LOG="+log)
			if output, err := command.CombinedOutput(); (err != nil) != tc.wantErr {
				t.Errorf("%v: %s", err, output)
			}
			got, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.wantLog, string(got)); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}
