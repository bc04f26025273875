// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package storagehealth

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// onAdd calls added for every object that appears, and says whether it is of an informer's first list.
func onAdd[T any](added func(object T, first bool)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, first bool) { added(object.(T), first) },
	}
}

// onEvery calls changed for every object that appears, changes or goes.
func onEvery[T metav1.Object](changed func(T)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { changed(object.(T)) },
		UpdateFunc: func(_, object any) { changed(object.(T)) },
		DeleteFunc: func(object any) { changed(last[T](object)) },
	}
}

// onDelete calls deleted for every object that goes.
func onDelete[T metav1.Object](deleted func(T)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{DeleteFunc: func(object any) { deleted(last[T](object)) }}
}

// last is the last that is known of an object that is gone.
func last[T metav1.Object](object any) T {
	if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}
	return object.(T)
}
