// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/mirror"
)

// StorageAddresses is the annotation of a Node with the addresses, beside its InternalIPs, from which it reaches its
// storage, separated by commas.
const StorageAddresses = "roost.dev/storage-addresses"

// clusterID is the parameter of NetworkFences and NetworkFenceClasses, and the attribute of volumes, that tells the storage
// clusters of one driver apart.
const clusterID = "clusterID"

// csiAddons are the versions of the kinds that are read.
var csiAddons = schema.GroupVersion{Group: "csiaddons.openshift.io", Version: "v1alpha1"}

// fences proves fencing from CSI-addons' NetworkFences.
type fences struct {
	objects, classObjects *mirror.Mirror[*unstructured.Unstructured]

	// reading is held for a look-up, or for the update of one object.
	reading sync.RWMutex
	byName  map[string]*networkFence
	classes map[string]target
	// clusters have the storage cluster of each volume of which it is known, empty where its driver has no such parameter.
	clusters map[drivers.VolumeID]string
	// addresses are those of each node. A node without is one of whose addresses not all are known.
	addresses map[string][]netip.Addr
}

func newFences(reader mirror.Client, clock clock.Clock) *fences {
	f := &fences{
		byName: map[string]*networkFence{}, classes: map[string]target{}, clusters: map[drivers.VolumeID]string{}, addresses: map[string][]netip.Addr{},
	}
	follow := func(kind string, options mirror.Options[*unstructured.Unstructured]) *mirror.Mirror[*unstructured.Unstructured] {
		options.Kind, options.Client, options.Clock = kind, reader, clock
		options.NewObject = func() *unstructured.Unstructured {
			object := &unstructured.Unstructured{}
			object.SetGroupVersionKind(csiAddons.WithKind(kind))
			return object
		}
		options.NewList = func() client.ObjectList {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(csiAddons.WithKind(kind + "List"))
			return list
		}
		return mirror.New(options)
	}
	f.objects = follow("NetworkFence", mirror.Options[*unstructured.Unstructured]{
		Put: f.putFence, Remove: f.removeFence, Names: func() []string { return names(&f.reading, f.byName) },
	})
	f.classObjects = follow("NetworkFenceClass", mirror.Options[*unstructured.Unstructured]{
		Put: f.putClass, Remove: f.removeClass, Names: func() []string { return names(&f.reading, f.classes) },
	})
	return f
}

// run follows NetworkFences and their classes until ctx is done.
func (f *fences) run(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { f.objects.Run(ctx) })
	group.Go(func() { f.classObjects.Run(ctx) })
	group.Wait()
}

func (f *fences) hasSynced() bool {
	return f.objects.HasSynced() && f.classObjects.HasSynced()
}

// prove has proof where each address of the node is fenced from the storage cluster that has the volume.
func (f *fences) prove(id drivers.VolumeID, node string) (drivers.Fence, bool) {
	f.reading.RLock()
	defer f.reading.RUnlock()
	cluster, known := f.clusters[id]
	addresses := f.addresses[node]
	if !known || len(addresses) == 0 {
		return drivers.Fence{}, false
	}
	var proofs []string
	for _, address := range addresses {
		name, ok := f.fencing(target{driver: id.Provisioner, cluster: cluster}, address)
		if !ok {
			return drivers.Fence{}, false
		}
		proofs = append(proofs, name)
	}
	slices.Sort(proofs)
	return drivers.Fence{Message: "fenced by NetworkFence " + strings.Join(slices.Compact(proofs), ", ")}, true
}

// fencing names the NetworkFence that keeps the address from the volume's storage cluster. Each one that may be about both
// must prove that the address is fenced: another one may have let it in again. The caller holds reading.
func (f *fences) fencing(volume target, address netip.Addr) (string, bool) {
	var proof string
	for name, fence := range f.byName {
		if !fence.covers(address) {
			continue
		}
		fenced, known := f.targetOf(fence)
		switch {
		case !known:
			return "", false
		case fenced.isAnother(volume):
		case !fence.proves:
			return "", false
		case fenced == volume && (proof == "" || name < proof):
			proof = name
		}
	}
	return proof, proof != ""
}

// targetOf is what the NetworkFence cuts off from. It is false where it names a class that is not known. Where a class is
// named, the driver beside it has no meaning, and its parameters go before those beside it: CSI-addons has it so.
func (f *fences) targetOf(fence *networkFence) (target, bool) {
	if fence.class == "" {
		return fence.target, true
	}
	class, known := f.classes[fence.class]
	if class.cluster == "" {
		class.cluster = fence.cluster
	}
	return class, known
}

func (f *fences) putFence(_ klog.Logger, object *unstructured.Unstructured) {
	f.reading.Lock()
	defer f.reading.Unlock()
	f.byName[object.GetName()] = newNetworkFence(object, f.byName[object.GetName()])
}

func (f *fences) removeFence(name string) {
	f.reading.Lock()
	defer f.reading.Unlock()
	delete(f.byName, name)
}

func (f *fences) putClass(_ klog.Logger, object *unstructured.Unstructured) {
	class := targetIn(object, "provisioner")
	f.reading.Lock()
	defer f.reading.Unlock()
	f.classes[object.GetName()] = class
}

func (f *fences) removeClass(name string) {
	f.reading.Lock()
	defer f.reading.Unlock()
	delete(f.classes, name)
}

// setVolume follows the storage cluster of a volume. One whose PersistentVolumes do not agree has none that is known.
func (f *fences) setVolume(v *volume) {
	cluster, known := v.cluster()
	f.reading.Lock()
	defer f.reading.Unlock()
	if known {
		f.clusters[v.id] = cluster
	} else {
		delete(f.clusters, v.id)
	}
}

func (f *fences) setNode(node *corev1.Node) {
	addresses := addressesOf(node)
	f.reading.Lock()
	defer f.reading.Unlock()
	f.addresses[node.Name] = addresses
}

func (f *fences) removeNode(name string) {
	f.reading.Lock()
	defer f.reading.Unlock()
	delete(f.addresses, name)
}

// addressesOf are the addresses from which the node may reach its storage: nil where one cannot be read, or where the
// node has no InternalIP.
func addressesOf(node *corev1.Node) []netip.Addr {
	var texts []string
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			texts = append(texts, address.Address)
		}
	}
	if len(texts) == 0 {
		return nil
	}
	if more, ok := node.Annotations[StorageAddresses]; ok {
		texts = append(texts, strings.Split(more, ",")...)
	}
	var addresses []netip.Addr
	for _, text := range texts {
		address, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			return nil
		}
		addresses = append(addresses, address.Unmap())
	}
	return addresses
}

func names[V any](lock *sync.RWMutex, of map[string]V) []string {
	lock.RLock()
	defer lock.RUnlock()
	return slices.Collect(maps.Keys(of))
}
