// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// tree copies what is below one directory to another.
type tree struct{ from, to *os.Root }

// copyTree copies a directory to a new one. A directory that does not exist is as good as an empty one, and so is a file that
// goes while it is copied: who plays a pod may be at work.
func (s *Store) copyTree(from, to string) error {
	if err := s.root.Mkdir(to, ownerOnly); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	source, err := s.root.OpenRoot(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening %s: %w", from, err)
	}
	defer source.Close()
	target, err := s.root.OpenRoot(to)
	if err != nil {
		return fmt.Errorf("opening %s: %w", to, err)
	}
	defer target.Close()
	t := tree{from: source, to: target}
	return fs.WalkDir(source.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && name != "." {
			err = t.copy(name, entry)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func (t tree) copy(name string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return fmt.Errorf("looking at %s: %w", name, err)
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		// It must be possible to write below it, and to remove it again.
		return t.to.Mkdir(name, mode.Perm()|ownerOnly)
	case mode.IsRegular():
		return t.copyFile(name, mode.Perm())
	case mode&fs.ModeSymlink != 0:
		return t.copyLink(name)
	default:
		return nil
	}
}

func (t tree) copyFile(name string, permissions fs.FileMode) error {
	source, err := t.from.Open(name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	defer source.Close()
	target, err := t.to.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, permissions)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if _, err := io.Copy(target, source); err != nil {
		return errors.Join(fmt.Errorf("copying %s: %w", name, err), target.Close())
	}
	if err := target.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func (t tree) copyLink(name string) error {
	target, err := t.from.Readlink(name)
	if err != nil {
		return fmt.Errorf("reading the link %s: %w", name, err)
	}
	if err := t.to.Symlink(target, name); err != nil {
		return fmt.Errorf("writing the link %s: %w", name, err)
	}
	return nil
}
