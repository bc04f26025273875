// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync/atomic"
)

const (
	volumesFolder   = "volumes"
	snapshotsFolder = "snapshots"
	// draftsFolder holds copies that are being made, and what is being removed.
	draftsFolder = "drafts"
	lockFile     = "write.lock"

	ownerOnly = 0o700
)

// Store is a data directory. Its methods may be called from any goroutine; those that name the same id, one at a time. A nil
// Store holds nothing, and all that it is asked to do is done.
type Store struct {
	path string
	root *os.Root
	// drafts numbers them.
	drafts atomic.Int64
}

// Open makes a data directory, which must not exist or be empty: what is in it belongs to volumes that nobody knows any more.
func Open(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding data directory %q: %w", dir, err)
	}
	if err := os.MkdirAll(dir, ownerOnly); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the data directory: %w", err)
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("data directory %s is not empty, must be a new one: a restart forgets all volumes", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the data directory: %w", err)
	}
	for _, folder := range []string{volumesFolder, snapshotsFolder, draftsFolder} {
		if err := root.Mkdir(folder, ownerOnly); err != nil {
			return nil, errors.Join(fmt.Errorf("making the data directory: %w", err), root.Close())
		}
	}
	if err := root.WriteFile(lockFile, nil, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("making the lock of writers: %w", err), root.Close())
	}
	return &Store{path: dir, root: root}, nil
}

// Close ends the use of the data directory and leaves it as it is.
func (s *Store) Close() error {
	if s == nil {
		return nil
	}
	return s.root.Close()
}

// VolumeDir is the directory of a volume, which exists once something was written there or the volume was made from a copy.
// It is empty where nothing is stored.
func (s *Store) VolumeDir(handle string) string { return s.dir(volumesFolder, handle) }

// SnapshotDir is the directory of a snapshot. It is empty where nothing is stored.
func (s *Store) SnapshotDir(id string) string { return s.dir(snapshotsFolder, id) }

func (s *Store) dir(folder, id string) string {
	if s == nil {
		return ""
	}
	return filepath.Join(s.path, folder, id)
}

// LockPath is the file that a writer holds a shared flock on, below a data directory.
func LockPath(dataDir string) string { return filepath.Join(dataDir, lockFile) }

// VolumePath is where the volume of a handle is, below a data directory.
func VolumePath(dataDir, handle string) string { return filepath.Join(dataDir, volumesFolder, handle) }

// RemoveVolume removes what a volume holds. There need not be anything.
func (s *Store) RemoveVolume(handle string) error { return s.remove(volumesFolder, handle) }

// RemoveSnapshot removes what a snapshot holds. There need not be anything.
func (s *Store) RemoveSnapshot(id string) error { return s.remove(snapshotsFolder, id) }

// remove moves the directory aside first, so that it is gone at once even where somebody still writes in it.
func (s *Store) remove(folder, id string) error {
	if s == nil {
		return nil
	}
	name, err := place(folder, id)
	if err != nil {
		return err
	}
	aside := s.draft()
	if err := s.root.Rename(name, aside); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("removing the content of %s: %w", id, err)
	}
	if err := s.root.RemoveAll(aside); err != nil {
		return fmt.Errorf("removing the content of %s: %w", id, err)
	}
	return nil
}

func (s *Store) draft() string { return fmt.Sprintf("%s/%d", draftsFolder, s.drafts.Add(1)) }

// place is the path of an id below the data directory. Ids come from requests: one that is more than a name is refused.
func place(folder, id string) (string, error) {
	if id == "" || id == "." || id == ".." || filepath.Base(id) != id {
		return "", fmt.Errorf("id %q, must be a name without a path", id)
	}
	return path.Join(folder, id), nil
}
