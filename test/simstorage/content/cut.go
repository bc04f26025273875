// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"syscall"
)

// Cut makes the content of snapshots, by their ids, out of that of volumes, by their handles. All show one instant. Where one
// fails, those that were made here are removed. Snapshots whose content exists are left as they are.
func (s *Store) Cut(handles map[string]string) error {
	if s == nil {
		return nil
	}
	release, err := s.lock()
	if err != nil {
		return err
	}
	defer release()
	var made []string
	for _, id := range slices.Sorted(maps.Keys(handles)) {
		fresh, err := s.make(snapshotsFolder, id, volumesFolder, handles[id])
		if err != nil {
			return errors.Join(err, s.undo(made))
		}
		if fresh {
			made = append(made, id)
		}
	}
	return nil
}

// Restore makes the content of a new volume out of a snapshot's.
func (s *Store) Restore(handle, snapshotID string) error {
	if s == nil {
		return nil
	}
	_, err := s.make(volumesFolder, handle, snapshotsFolder, snapshotID)
	return err
}

// Clone makes the content of a new volume out of another's, which shows one instant.
func (s *Store) Clone(handle, sourceHandle string) error {
	if s == nil {
		return nil
	}
	release, err := s.lock()
	if err != nil {
		return err
	}
	defer release()
	_, err = s.make(volumesFolder, handle, volumesFolder, sourceHandle)
	return err
}

// make copies unless the copy is there, and tells whether it did.
func (s *Store) make(folder, id, sourceFolder, sourceID string) (bool, error) {
	to, err := place(folder, id)
	if err != nil {
		return false, err
	}
	from, err := place(sourceFolder, sourceID)
	if err != nil {
		return false, err
	}
	if _, err := s.root.Lstat(to); err == nil {
		return false, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("looking for the content of %s: %w", id, err)
	}
	draft := s.draft()
	if err := s.copyTree(from, draft); err != nil {
		return false, errors.Join(fmt.Errorf("copying the content of %s to %s: %w", sourceID, id, err), s.root.RemoveAll(draft))
	}
	if err := s.root.Rename(draft, to); err != nil {
		return false, errors.Join(fmt.Errorf("keeping the content of %s: %w", id, err), s.root.RemoveAll(draft))
	}
	return true, nil
}

func (s *Store) undo(snapshotIDs []string) error {
	var errs []error
	for _, id := range snapshotIDs {
		errs = append(errs, s.RemoveSnapshot(id))
	}
	return errors.Join(errs...)
}

// lock keeps out the writers that take a shared lock, and waits for those that have one.
func (s *Store) lock() (release func(), err error) {
	file, err := s.root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of writers: %w", err)
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking writers out: %w", err), file.Close())
	}
	// Closing the file ends the lock.
	return func() { _ = file.Close() }, nil
}
