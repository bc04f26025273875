// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshottest

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// ErrCrashed is what a process gets for every call after its crash.
var ErrCrashed = errors.New("the process has crashed")

// Process is the client of one process, which counts its calls and may crash.
type Process struct {
	client.Client

	// CrashAt is the write at which it crashes, from 1. 0 is never.
	CrashAt int
	// Applied says that the write at which it crashes reaches the API server, and only the answer does not come.
	Applied bool
	// Fail is asked before each write, as "create VolumeSnapshot a", and its error is the answer. It may be nil.
	Fail func(write string) error
	// Writes are those that were made, in order. Reads counts the others.
	Writes []string
	Reads  int

	dead bool
}

// NewProcess returns one that has done nothing.
func NewProcess(api client.WithWatch) *Process {
	p := &Process{}
	p.Client = interceptor.NewClient(api, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			return p.read(ctx, func() error { return c.Get(ctx, key, object, options...) })
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			return p.read(ctx, func() error { return c.List(ctx, list, options...) })
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			return p.write(ctx, p.name("create", object), func() error { return c.Create(ctx, object, options...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			return p.write(ctx, p.name("delete", object), func() error { return c.Delete(ctx, object, options...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			return p.write(ctx, p.name("update", object), func() error { return c.Update(ctx, object, options...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			return p.write(ctx, p.name("patch", object), func() error { return c.Patch(ctx, object, patch, options...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, resource string, object client.Object, options ...client.SubResourceUpdateOption) error {
			return p.write(ctx, p.name("update "+resource+" of", object), func() error { return c.SubResource(resource).Update(ctx, object, options...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, resource string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			return p.write(ctx, p.name("patch "+resource+" of", object), func() error { return c.SubResource(resource).Patch(ctx, object, patch, options...) })
		},
	})
	return p
}

// Dead says that the process has crashed.
func (p *Process) Dead() bool { return p.dead }

func (p *Process) read(ctx context.Context, do func() error) error {
	if p.dead {
		return ErrCrashed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p.Reads++
	return do()
}

func (p *Process) write(ctx context.Context, name string, do func() error) error {
	if p.dead {
		return ErrCrashed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.Fail != nil {
		if err := p.Fail(name); err != nil {
			return err
		}
	}
	p.Writes = append(p.Writes, name)
	if len(p.Writes) != p.CrashAt {
		return do()
	}
	p.dead = true
	if p.Applied {
		_ = do()
	}
	return ErrCrashed
}

func (p *Process) name(verb string, object client.Object) string {
	gvk, err := apiutil.GVKForObject(object, Scheme())
	if err != nil {
		gvk = schema.GroupVersionKind{Kind: fmt.Sprintf("%T", object)}
	}
	return verb + " " + gvk.Kind + " " + object.GetName()
}
