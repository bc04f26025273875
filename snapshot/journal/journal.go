// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"fmt"
	"reflect"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// overtaken is how often a save is tried again that somebody's change of the metadata came before.
const overtaken = 4

// Journal is an object whose status is written step by step. It is for one goroutine.
type Journal[O client.Object] struct {
	// Object is what is changed. Save writes its status, and leaves in it the resourceVersion that the write gave.
	Object O
	// AnySpec is that nothing is decided by what can change in the spec.
	AnySpec bool

	client  client.Client
	written O
}

// Open begins with an object as it was read from the API server or from a cache. The object is copied.
func Open[O client.Object](c client.Client, object O) *Journal[O] {
	return &Journal[O]{Object: copyOf(object), client: c, written: copyOf(object)}
}

// Before is the object as it was read, or written last.
func (j *Journal[O]) Before() O { return j.written }

// Save writes the status, unless it is what was read or written last. Spec and metadata of Object must not have changed. A
// conflict (apierrors.IsConflict) means that somebody else wrote the status meanwhile, or deletes the object: read again, and do
// nothing that this status would have announced. So does a change of the spec, unless AnySpec is set. Where only metadata
// changed, Object gets it and is saved.
func (j *Journal[O]) Save(ctx context.Context) error {
	if apiequality.Semantic.DeepEqual(j.Object, j.written) {
		return nil
	}
	err := j.client.Status().Update(ctx, j.Object)
	for try := 0; try < overtaken && apierrors.IsConflict(err); try++ {
		live, ok := j.live(ctx)
		if !ok {
			break
		}
		statusOf(live).Set(statusOf(j.Object))
		if err = j.client.Status().Update(ctx, live); err == nil {
			reflect.ValueOf(j.Object).Elem().Set(reflect.ValueOf(live).Elem())
		}
	}
	if err != nil {
		return fmt.Errorf("writing the status of %T %s: %w", j.Object, client.ObjectKeyFromObject(j.Object), err)
	}
	j.written = copyOf(j.Object)
	return nil
}

// live reads the object. It is false where that is another one, or to go, or where its status or its spec changed: what is about
// to be announced was decided without knowing.
func (j *Journal[O]) live(ctx context.Context) (O, bool) {
	live := copyOf(j.written)
	if err := j.client.Get(ctx, client.ObjectKeyFromObject(j.written), live); err != nil {
		return live, false
	}
	same := live.GetUID() == j.written.GetUID() && (j.AnySpec || live.GetGeneration() == j.written.GetGeneration()) &&
		(live.GetDeletionTimestamp() == nil) == (j.written.GetDeletionTimestamp() == nil) &&
		apiequality.Semantic.DeepEqual(statusOf(live).Interface(), statusOf(j.written).Interface())
	return live, same
}

// statusOf is the field of that name, which all have that have a journal.
func statusOf(object client.Object) reflect.Value {
	return reflect.ValueOf(object).Elem().FieldByName("Status")
}

func copyOf[O client.Object](object O) O {
	return object.DeepCopyObject().(O)
}
