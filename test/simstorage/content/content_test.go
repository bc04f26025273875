// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func do(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// write writes a file of a volume as a pod would.
func write(t *testing.T, s *Store, handle, name, text string) {
	t.Helper()
	path := filepath.Join(s.VolumeDir(handle), name)
	do(t, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600))
}

// files returns what is below a directory: text of files, targets of links.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	do(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		if entry.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			found[name] = "-> " + target
			return err
		}
		content, err := os.ReadFile(path)
		found[name] = string(content)
		return err
	}))
	return found
}

func wantFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, files(t, dir)); diff != "" {
		t.Errorf("files of %s (-want +got):\n%s", dir, diff)
	}
}

func TestSnapshotKeepsWhatTheVolumeHeldAtTheCut(t *testing.T) {
	s := open(t)
	write(t, s, "vol-1", "a/b/file", "old")
	do(t, s.Cut(map[string]string{"snap-1": "vol-1"}))
	write(t, s, "vol-1", "a/b/file", "new")
	write(t, s, "vol-1", "other", "new")
	do(t, s.Cut(map[string]string{"snap-1": "vol-1"})) // once more changes nothing
	do(t, s.RemoveVolume("vol-1"))
	do(t, s.Restore("vol-2", "snap-1"))
	wantFiles(t, s.VolumeDir("vol-2"), map[string]string{"a/b/file": "old"})
	write(t, s, "vol-2", "a/b/file", "newer")
	do(t, s.Restore("vol-2", "snap-1")) // nor does this
	wantFiles(t, s.VolumeDir("vol-2"), map[string]string{"a/b/file": "newer"})
	wantFiles(t, s.SnapshotDir("snap-1"), map[string]string{"a/b/file": "old"})

	do(t, s.Clone("vol-3", "vol-2"), s.RemoveSnapshot("snap-1"), s.RemoveSnapshot("snap-1"))
	wantFiles(t, s.VolumeDir("vol-3"), map[string]string{"a/b/file": "newer"})
	if _, err := os.Lstat(s.SnapshotDir("snap-1")); !os.IsNotExist(err) {
		t.Errorf("the content of a removed snapshot is still there: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Join(s.path, draftsFolder)); err != nil || len(entries) != 0 {
		t.Errorf("drafts = %v, %v, want none left behind", entries, err)
	}
}

func TestEmptyVolumeCostsNothingAndItsSnapshotStaysEmpty(t *testing.T) {
	s := open(t)
	do(t, s.Cut(map[string]string{"snap-1": "vol-1"}))
	if _, err := os.Lstat(s.VolumeDir("vol-1")); !os.IsNotExist(err) {
		t.Errorf("an empty volume has a directory: %v", err)
	}
	write(t, s, "vol-1", "file", "late")
	do(t, s.Cut(map[string]string{"snap-1": "vol-1"}), s.Restore("vol-2", "snap-1"))
	wantFiles(t, s.VolumeDir("vol-2"), map[string]string{})
}

func TestCopyDoesNotFollowLinksNorTakeWhatIsNoFile(t *testing.T) {
	s := open(t)
	outside := filepath.Join(t.TempDir(), "secret")
	do(t, os.Mkdir(outside, 0o700), os.WriteFile(filepath.Join(outside, "key"), []byte("secret"), 0o600))
	write(t, s, "vol-1", "file", "mine")
	dir := s.VolumeDir("vol-1")
	do(t,
		os.Symlink(outside, filepath.Join(dir, "dir")), os.Symlink(filepath.Join(outside, "key"), filepath.Join(dir, "key")),
		os.Symlink("../../..", filepath.Join(dir, "up")), syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
	)
	do(t, s.Cut(map[string]string{"snap-1": "vol-1"}))
	wantFiles(t, s.SnapshotDir("snap-1"), map[string]string{
		"file": "mine", "dir": "-> " + outside, "key": "-> " + filepath.Join(outside, "key"), "up": "-> ../../..",
	})
	do(t, s.RemoveVolume("vol-1"))
	if _, err := os.Stat(filepath.Join(outside, "key")); err != nil {
		t.Errorf("removing a volume removed what its links point to: %v", err)
	}
}

func TestIdThatIsAPathIsRefused(t *testing.T) {
	s := open(t)
	for _, id := range []string{"", ".", "..", "../volumes", "a/b", "/etc"} {
		for name, err := range map[string]error{
			"Cut": s.Cut(map[string]string{id: "vol-1"}), "Cut of it": s.Cut(map[string]string{"snap-1": id}),
			"Restore": s.Restore(id, "snap-1"), "Clone": s.Clone("vol-1", id),
			"RemoveVolume": s.RemoveVolume(id), "RemoveSnapshot": s.RemoveSnapshot(id),
		} {
			if err == nil {
				t.Errorf("%s took the id %q", name, id)
			}
		}
	}
}

func TestCutThatFailsLeavesNothingOfItBehind(t *testing.T) {
	s := open(t)
	write(t, s, "vol-1", "file", "mine")
	// A volume that is a file cannot be opened as a directory.
	do(t, os.WriteFile(s.VolumeDir("vol-2"), nil, 0o600))
	if err := s.Cut(map[string]string{"snap-1": "vol-1", "snap-2": "vol-2"}); err == nil {
		t.Fatal("got no error")
	}
	for _, folder := range []string{snapshotsFolder, draftsFolder} {
		if entries, err := os.ReadDir(filepath.Join(s.path, folder)); err != nil || len(entries) != 0 {
			t.Errorf("%s = %v, %v, want none", folder, entries, err)
		}
	}
}

func TestCutWaitsForAWriterWithTheLock(t *testing.T) {
	s := open(t)
	writer, err := os.Open(LockPath(s.path))
	do(t, err, syscall.Flock(int(writer.Fd()), syscall.LOCK_SH))
	write(t, s, "vol-1", "file", "half")
	cut := make(chan error, 1)
	go func() { cut <- s.Cut(map[string]string{"snap-1": "vol-1", "snap-2": "vol-2"}) }()
	write(t, s, "vol-1", "file", "whole")
	write(t, s, "vol-2", "file", "whole")
	select {
	case err := <-cut:
		t.Errorf("the cut did not wait for the writer: %v", err)
	default:
	}
	do(t, writer.Close(), <-cut)
	for _, id := range []string{"snap-1", "snap-2"} {
		wantFiles(t, s.SnapshotDir(id), map[string]string{"file": "whole"})
	}
}

func TestLockKeepsWritersOut(t *testing.T) {
	s := open(t)
	release, err := s.lock()
	do(t, err)
	writer, err := os.Open(LockPath(s.path))
	do(t, err)
	if err := syscall.Flock(int(writer.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("a writer gets the lock while a copy is made: %v", err)
	}
	release()
	do(t, syscall.Flock(int(writer.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), writer.Close())
}

func TestOpenWantsANewDirectory(t *testing.T) {
	dir := t.TempDir()
	do(t, os.WriteFile(filepath.Join(dir, "precious"), nil, 0o600))
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("error = %v, want one that names the directory", err)
	}
	wantFiles(t, dir, map[string]string{"precious": ""})
}

func TestStoreThatKeepsNothing(t *testing.T) {
	var s *Store
	do(t,
		s.Cut(map[string]string{"snap-1": "vol-1"}), s.Restore("vol-2", "snap-1"), s.Clone("vol-2", "vol-1"),
		s.RemoveVolume("vol-1"), s.RemoveSnapshot("snap-1"), s.Close(),
	)
	if s.VolumeDir("vol-1") != "" || s.SnapshotDir("snap-1") != "" {
		t.Error("it has directories")
	}
}
