// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Journal is an object whose status is written step by step. It is for one goroutine.
type Journal[O client.Object] struct {
	// Object is what is changed. Save writes its status, and leaves in it the resourceVersion that the write gave.
	Object O

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
// conflict (apierrors.IsConflict) means that somebody else wrote meanwhile: read again, and do nothing that this status
// would have announced.
func (j *Journal[O]) Save(ctx context.Context) error {
	if apiequality.Semantic.DeepEqual(j.Object, j.written) {
		return nil
	}
	if err := j.client.Status().Update(ctx, j.Object); err != nil {
		return fmt.Errorf("writing the status of %T %s: %w", j.Object, client.ObjectKeyFromObject(j.Object), err)
	}
	j.written = copyOf(j.Object)
	return nil
}

func copyOf[O client.Object](object O) O {
	return object.DeepCopyObject().(O)
}
