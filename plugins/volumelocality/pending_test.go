// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package volumelocality

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"roost.dev/roost/drivers"
	"roost.dev/roost/internal/builders"
)

// maxMessage is what our part of a pod's message may take of the 1 KiB of an event's note.
const maxMessage = 500

func lacks(reasons ...string) *fwk.Status {
	return fwk.NewStatus(fwk.Unschedulable, reasons...).WithPlugin("NodeResourcesFit")
}

// longReason is longer than a message shows.
var longReason = strings.Repeat("x", 200)

var pendingTests = map[string]struct {
	pod      *corev1.Pod
	level    int
	data     []string
	claims   []runtime.Object
	statuses map[string]*fwk.Status
	want     string
}{
	"Required": {
		pod: annotated(podUsing("data"), "Required"), data: []string{"a1", "b1", "c1"},
		statuses: map[string]*fwk.Status{"a1": lacks("Insufficient cpu"), "b1": lacks("Insufficient cpu"), "c1": lacks("node(s) had untolerated taint(s)")},
		want:     "volume locality is Required, and of the 3 node(s) with the data: 2 Insufficient cpu, 1 node(s) had untolerated taint(s)",
	},
	"Preferred, after the last attempt": {
		pod: podUsing("data"), level: 2, data: []string{"a1", "b1"},
		statuses: map[string]*fwk.Status{"a1": lacks("Insufficient memory", "Insufficient cpu"), "b1": lacks("Insufficient cpu"), "c1": lacks("Too many pods")},
		want:     "volume locality is Preferred, and of the 2 node(s) with the data: 2 Insufficient cpu, 1 Insufficient memory",
	},
	"waiting": {
		pod: waitingFor("1h", "data"), data: []string{"a1"}, statuses: map[string]*fwk.Status{"a1": lacks("Too many pods")},
		want: "waiting for room next to the data until 2023-11-14T23:13:20Z, and of the 1 node(s) with the data: 1 Too many pods",
	},
	"waiting for some of the nodes that Required allows": {
		pod: waitingFor("1h", "data", "log"), data: []string{"a1", "b1", "c1"}, statuses: map[string]*fwk.Status{"b1": lacks("Too many pods")},
		claims: []runtime.Object{
			builders.MakeClaim("data").BoundTo("pv-data").Annotation("roost.dev/locality", "Required").Obj(), dataPV,
			builders.MakeClaim("log").BoundTo("pv-log").Obj(), builders.MakePV("pv-log").CSI(provisioner, "handle-of-log").ClaimedBy("log").Obj(),
		},
		want: "waiting for room next to the data until 2023-11-14T23:13:20Z, and of the 1 node(s) with the data: 1 Too many pods",
	},
	"many reasons, and long ones": {
		pod: waitingFor("1h", "data"), data: []string{"a1"}, statuses: map[string]*fwk.Status{"a1": lacks("a"+longReason, "b"+longReason, "c"+longReason, "d"+longReason, "e", "f")},
		want: "waiting for room next to the data until 2023-11-14T23:13:20Z, and of the 1 node(s) with the data: " +
			fmt.Sprintf("1 a%[1]s..., 1 b%[1]s..., 1 c%[1]s..., 1 d%[1]s..., and 2 other reason(s)", longReason[:maxShownReason-1]),
	},
	"no node serves the data": {pod: podUsing("data"), level: 2, statuses: map[string]*fwk.Status{"a1": lacks("Insufficient cpu")}},
}

func TestWhatAPendingPodIsTold(t *testing.T) {
	for name, tc := range pendingTests {
		t.Run(name, func(t *testing.T) {
			if tc.claims == nil {
				tc.claims = claimAndPV("data")
			}
			f := newFixture(t, world{
				nodes: sixNodes(), objects: append(tc.claims, tc.pod),
				driver: &memory{locations: map[string]drivers.Location{"handle-of-data": inSync(tc.data...), "handle-of-log": inSync("b1", "b2")}},
			})
			for range tc.level {
				f.try(tc.pod)
			}
			_, state := f.attempt(tc.pod)
			absent := fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "node(s) didn't satisfy plugin(s) [VolumeLocality]")
			_, status := f.pl.PostFilter(t.Context(), state, tc.pod, framework.NewNodeToStatus(tc.statuses, absent))
			if got := status.Message(); got != tc.want {
				t.Errorf("message = %q,\nwant %q", got, tc.want)
			}
			if len(status.Message()) > maxMessage {
				t.Errorf("the message has %d characters, want at most %d", len(status.Message()), maxMessage)
			}
		})
	}
}
