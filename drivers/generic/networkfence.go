// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// fencedMessage is what CSI-addons writes into the status of a NetworkFence after it has fenced. After it has let the
// addresses in again the result is Succeeded too, with another message.
const fencedMessage = "fencing operation successful"

// networkFence is what is kept of a NetworkFence.
type networkFence struct {
	uid        types.UID
	generation int64
	// class, where it is set, names the driver.
	class string
	target
	cidrs []netip.Prefix
	// succeeded says that the spec is to fence and that the status tells of a success in it.
	succeeded bool
	// proves says that the status is about this spec.
	proves bool
}

// target is a storage cluster: that of a driver, and where the driver has several one of them.
type target struct{ driver, cluster string }

// targetIn reads the spec of a NetworkFence or a NetworkFenceClass. driver is the field that has the driver's name.
func targetIn(object *unstructured.Unstructured, driver string) target {
	name, _, _ := unstructured.NestedString(object.Object, "spec", driver)                     // what is no string names no driver
	cluster, _, _ := unstructured.NestedString(object.Object, "spec", "parameters", clusterID) // and no cluster
	return target{driver: name, cluster: cluster}
}

// isAnother is false in doubt: where only one of the two names its cluster.
func (t target) isAnother(volume target) bool {
	return t.driver != volume.driver || t.cluster != volume.cluster && t.cluster != "" && volume.cluster != ""
}

// newNetworkFence reads an object; known is what was known by its name, nil where nothing was.
//
// The status of a NetworkFence does not say which generation of the spec it is about, and a spec that was edited keeps the
// old one's result until it has been worked on. It is about this spec where the spec has never been edited; and where it
// turned to success while we watched and the spec stayed the same, as CSI-addons' write of a status fails where the spec
// was edited since it was read. Times are no help: those of different API servers cannot be compared.
func newNetworkFence(object *unstructured.Unstructured, known *networkFence) *networkFence {
	text := func(fields ...string) string {
		value, _, _ := unstructured.NestedString(object.Object, fields...) // what is no string is none of the values looked for
		return value
	}
	fence := &networkFence{
		uid:        object.GetUID(),
		generation: object.GetGeneration(),
		class:      text("spec", "networkFenceClassName"),
		target:     targetIn(object, "driver"),
		cidrs:      cidrsOf(object),
		succeeded: object.GetDeletionTimestamp() == nil && text("spec", "fenceState") == "Fenced" &&
			text("status", "result") == "Succeeded" && text("status", "message") == fencedMessage,
	}
	same := known != nil && known.uid == fence.uid && known.generation == fence.generation
	fence.proves = fence.succeeded && (fence.generation == 1 || same && (known.proves || !known.succeeded))
	return fence
}

// cidrsOf leaves out what is no range of addresses: it covers nothing that we could name.
func cidrsOf(object *unstructured.Unstructured) []netip.Prefix {
	texts, _, _ := unstructured.NestedStringSlice(object.Object, "spec", "cidrs") // what is no list of strings covers nothing
	var cidrs []netip.Prefix
	for _, text := range texts {
		if cidr, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil {
			cidrs = append(cidrs, cidr)
		}
	}
	return cidrs
}

func (f *networkFence) covers(address netip.Addr) bool {
	for _, cidr := range f.cidrs {
		if cidr.Contains(address) {
			return true
		}
	}
	return false
}
