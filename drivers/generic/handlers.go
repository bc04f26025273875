// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// follow is one informer, and what its events do.
type follow struct {
	kind         string
	informer     cache.SharedIndexInformer
	handler      cache.ResourceEventHandler
	registration cache.ResourceEventHandlerRegistration
}

// start stops at the first informer that takes no handler.
func start(follows []*follow) error {
	for _, f := range follows {
		registration, err := f.informer.AddEventHandler(f.handler)
		if err != nil {
			return fmt.Errorf("following %s: %w", f.kind, err)
		}
		f.registration = registration
	}
	return nil
}

// stop undoes as much of start as was done.
func stop(follows []*follow) {
	for _, f := range follows {
		if f.registration != nil {
			_ = f.informer.RemoveEventHandler(f.registration) // fails only for a handle that is not the informer's
		}
	}
}

// handler calls changed for an object that is new or different, and deleted with the last that is known of one.
func handler[T metav1.Object](changed, deleted func(T)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(added any) { changed(added.(T)) },
		UpdateFunc: func(before, after any) {
			// An informer's resync tells what is known.
			if before.(T).GetResourceVersion() != after.(T).GetResourceVersion() {
				changed(after.(T))
			}
		},
		DeleteFunc: func(last any) {
			if unknown, ok := last.(cache.DeletedFinalStateUnknown); ok {
				last = unknown.Obj
			}
			deleted(last.(T))
		},
	}
}

func (s *Source) persistentVolumeChanged(pv *corev1.PersistentVolume) {
	s.writing.Lock()
	defer s.writing.Unlock()
	for _, v := range s.index.setPersistentVolume(pv) {
		s.persistentVolumesChanged(v)
	}
}

func (s *Source) persistentVolumeDeleted(pv *corev1.PersistentVolume) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if v := s.index.removePersistentVolume(pv.Name); v != nil {
		s.persistentVolumesChanged(v)
	}
}

// persistentVolumesChanged follows a change of a volume's PersistentVolumes. The caller holds writing.
func (s *Source) persistentVolumesChanged(v *volume) {
	if s.fences != nil {
		s.fences.setVolume(v)
	}
	s.publish(v)
}

func (s *Source) nodeChanged(node *corev1.Node) {
	s.writing.Lock()
	defer s.writing.Unlock()
	for v := range s.index.setNode(node.Name, node) {
		s.publish(v)
	}
	if s.health != nil {
		s.fences.setNode(node)
		s.judgeParts(s.health.setNode(node))
	}
}

func (s *Source) nodeDeleted(node *corev1.Node) {
	s.writing.Lock()
	defer s.writing.Unlock()
	for v := range s.index.setNode(node.Name, nil) {
		s.publish(v)
	}
	if s.health != nil {
		s.fences.removeNode(node.Name)
		s.judgeParts(s.health.removeNode(node.Name))
	}
}

func (s *Source) attachmentChanged(attachment *storagev1.VolumeAttachment) {
	s.writing.Lock()
	defer s.writing.Unlock()
	for _, v := range s.index.setAttachment(attachment) {
		s.publish(v)
	}
	if s.health != nil {
		s.judgeParts(s.health.setAttachment(attachment, s.index.isAttached(attachment)))
	}
}

func (s *Source) attachmentDeleted(attachment *storagev1.VolumeAttachment) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if v := s.index.removeAttachment(attachment.Name); v != nil {
		s.publish(v)
	}
	if s.health != nil {
		s.judgeParts(s.health.removeAttachment(attachment.Name))
	}
}

func (s *Source) csiNodeChanged(node *storagev1.CSINode) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.judgeParts(s.health.setCSINode(node.Name, node))
}

func (s *Source) csiNodeDeleted(node *storagev1.CSINode) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.judgeParts(s.health.setCSINode(node.Name, nil))
}

func (s *Source) podChanged(pod *corev1.Pod) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.judgeParts(s.health.setPod(pod))
}

func (s *Source) podDeleted(pod *corev1.Pod) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.judgeParts(s.health.removePod(pod))
}
