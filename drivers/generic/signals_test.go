// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package generic

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"roost.dev/roost/drivers"
)

// scenario is what happens on a node on which all was well, and the report that follows.
type scenario struct {
	do   func(*seen)
	want drivers.StorageState
}

func runScenarios(t *testing.T, scenarios map[string]scenario) {
	t.Helper()
	for name, tc := range scenarios {
		t.Run(name, func(t *testing.T) {
			s := newRunning(t)
			tc.do(s)
			s.check("in the end", tc.want)
		})
	}
}

func (s *seen) pluginFails() { s.podChanged(newPluginPod("plugin-1", "1", false)) }

// pluginIsReplaced has a node plugin that fails for half a minute be replaced by one that is not ready either.
func (s *seen) pluginIsReplaced(revision string) {
	s.pluginFails()
	s.wait(30 * time.Second)
	s.podDeleted(newPluginPod("plugin-1", "1", false))
	s.podChanged(newPluginPod("plugin-2", revision, false))
}

func TestNodePluginThatIsNotReady(t *testing.T) {
	runScenarios(t, map[string]scenario{
		"for a minute counts": {want: drivers.Degraded, do: func(s *seen) { s.pluginFails(); s.wait(notReadyAfter) }},
		"for less does not":   {want: drivers.Online, do: func(s *seen) { s.pluginFails(); s.wait(notReadyAfter - time.Second) }},
		"and was twice for less does not": {want: drivers.Online, do: func(s *seen) {
			s.pluginFails()
			s.wait(notReadyAfter - time.Second)
			s.podChanged(newPluginPod("plugin-1", "1", true))
			s.pluginFails()
			s.wait(notReadyAfter - time.Second)
		}},
		"no longer counts once it is ready": {want: drivers.Online, do: func(s *seen) {
			s.pluginFails()
			s.wait(notReadyAfter)
			s.podChanged(newPluginPod("plugin-1", "1", true))
		}},
		"and is gone, with the driver still registered, counts": {want: drivers.Degraded, do: func(s *seen) {
			s.podDeleted(newPluginPod("plugin-1", "1", true))
			s.wait(notReadyAfter)
		}},
		"beside one that is, in a rolling update with surge, does not count": {want: drivers.Online, do: func(s *seen) {
			s.podChanged(newPluginPod("plugin-2", "2", false))
			s.wait(time.Hour)
		}},
		"on a node that has just become Ready does not count": {want: drivers.Online, do: func(s *seen) {
			s.nodeChanged(newNodeIn(corev1.ConditionFalse, s.clock.Now()))
			s.pluginFails()
			s.wait(5 * time.Minute)
			s.nodeChanged(newNodeIn(corev1.ConditionTrue, s.clock.Now().Add(-time.Hour))) // by the node controller's clock
			s.wait(bootGrace - time.Second)
		}},
		"on a node that became Ready some time ago counts": {want: drivers.Degraded, do: func(s *seen) {
			s.nodeChanged(newNodeIn(corev1.ConditionFalse, s.clock.Now()))
			s.pluginFails()
			s.wait(5 * time.Minute)
			s.nodeChanged(newNodeIn(corev1.ConditionTrue, s.clock.Now()))
			s.wait(bootGrace)
		}},
	})
}

func TestNodePluginThatIsReplaced(t *testing.T) {
	runScenarios(t, map[string]scenario{
		"and its successor of the same revision are one outage": {want: drivers.Degraded, do: func(s *seen) {
			s.pluginIsReplaced("1")
			s.wait(30 * time.Second)
		}},
		"in a rolling update does not count while the new one starts": {want: drivers.Online, do: func(s *seen) {
			s.pluginIsReplaced("2")
			s.wait(bootGrace - time.Second)
		}},
		"in a rolling update counts when the new one does not start": {want: drivers.Degraded, do: func(s *seen) {
			s.pluginIsReplaced("2")
			s.wait(bootGrace)
		}},
		"once it counts goes on to count while a new revision starts": {want: drivers.Degraded, do: func(s *seen) {
			s.pluginFails()
			s.wait(notReadyAfter)
			s.podDeleted(newPluginPod("plugin-1", "1", false))
			s.podChanged(newPluginPod("plugin-2", "2", false))
			s.wait(time.Second)
		}},
	})
}

func TestDriverThatIsNotRegistered(t *testing.T) {
	unregister := func(s *seen) { s.csiNodeChanged(newCSINode(today.Add(-time.Hour), "another.driver")) }
	runScenarios(t, map[string]scenario{
		"for a minute counts": {want: drivers.Degraded, do: func(s *seen) { unregister(s); s.wait(notReadyAfter) }},
		"for less does not, as in each update of the node plugin": {want: drivers.Online, do: func(s *seen) {
			unregister(s)
			s.wait(notReadyAfter - time.Second)
		}},
		"no longer counts once it is": {want: drivers.Online, do: func(s *seen) {
			unregister(s)
			s.wait(notReadyAfter)
			s.csiNodeChanged(newCSINode(today.Add(-time.Hour), driver))
		}},
		"without node plugin, but with an attachment, counts": {want: drivers.Degraded, do: func(s *seen) {
			s.attachmentChanged(newAttempt("attachment", true, "", ""))
			s.podDeleted(newPluginPod("plugin-1", "1", true))
			unregister(s)
			s.wait(notReadyAfter)
		}},
		"on a node whose CSINode is gone counts": {want: drivers.Degraded, do: func(s *seen) {
			s.csiNodeDeleted(newCSINode(today.Add(-time.Hour)))
			s.wait(notReadyAfter)
		}},
		"on a node whose CSINode is new does not": {want: drivers.Online, do: func(s *seen) {
			s.csiNodeDeleted(newCSINode(today.Add(-time.Hour)))
			s.csiNodeChanged(newCSINode(s.clock.Now()))
			s.wait(bootGrace - time.Second)
		}},
		"on a node that has just become Ready does not": {want: drivers.Online, do: func(s *seen) {
			s.nodeChanged(newNodeIn(corev1.ConditionFalse, s.clock.Now()))
			unregister(s)
			s.wait(5 * time.Minute)
			s.nodeChanged(newNodeIn(corev1.ConditionTrue, s.clock.Now()))
			s.wait(bootGrace - time.Second)
		}},
	})
}

func (s *seen) attachFails(names ...string) {
	for _, name := range names {
		s.attachmentChanged(newAttempt(name, false, "no path to the storage", ""))
	}
}

func TestAttachmentsThatFail(t *testing.T) {
	runScenarios(t, map[string]scenario{
		"two of them count":           {want: drivers.Degraded, do: func(s *seen) { s.attachFails("a", "b"); s.wait(errorsAfter) }},
		"two of them for less do not": {want: drivers.Online, do: func(s *seen) { s.attachFails("a", "b"); s.wait(errorsAfter - time.Second) }},
		"two of them, the second for less, do not": {want: drivers.Online, do: func(s *seen) {
			s.attachFails("a")
			s.wait(30 * time.Second)
			s.attachFails("b")
			s.wait(errorsAfter - time.Second)
		}},
		"one is that volume's problem": {want: drivers.Online, do: func(s *seen) { s.attachFails("a"); s.wait(time.Hour) }},
		"two that are attached now do not, whatever error is left": {want: drivers.Online, do: func(s *seen) {
			s.attachmentChanged(newAttempt("a", true, "old", ""))
			s.attachmentChanged(newAttempt("b", true, "old", ""))
			s.wait(time.Hour)
		}},
		"two that cannot be detached count": {want: drivers.Degraded, do: func(s *seen) {
			s.attachmentChanged(newAttempt("a", true, "", "busy"))
			s.attachmentChanged(newAttempt("b", true, "", "busy"))
			s.wait(errorsAfter)
		}},
		"no longer count once they are gone": {want: drivers.Online, do: func(s *seen) {
			s.attachFails("a", "b")
			s.wait(errorsAfter)
			s.attachmentDeleted(newAttempt("b", false, "", ""))
		}},
	})
}

func TestAttachmentsThatFailAmongOthers(t *testing.T) {
	runScenarios(t, map[string]scenario{
		"with one that succeeded since do not count": {want: drivers.Online, do: func(s *seen) {
			s.attachFails("a", "b")
			s.attachmentChanged(newAttempt("c", false, "", ""))
			s.wait(time.Second)
			s.attachmentChanged(newAttempt("c", true, "", ""))
			s.wait(time.Hour)
		}},
		"with one that was detached since do not count": {want: drivers.Online, do: func(s *seen) {
			s.attachmentChanged(newAttempt("c", true, "", ""))
			s.attachFails("a", "b")
			s.wait(time.Second)
			s.attachmentDeleted(newAttempt("c", true, "", ""))
			s.wait(time.Hour)
		}},
		"with one that is seen attached for the first time count": {want: drivers.Degraded, do: func(s *seen) {
			s.attachFails("a", "b")
			s.wait(time.Second)
			s.attachmentChanged(newAttempt("c", true, "", ""))
			s.wait(errorsAfter)
		}},
		"with one that was attached long before count": {want: drivers.Degraded, do: func(s *seen) {
			s.attachmentChanged(newAttempt("c", true, "", ""))
			s.wait(time.Second)
			s.attachFails("a", "b")
			s.wait(errorsAfter)
		}},
		"of volumes that were attached here before count": {want: drivers.Degraded, do: func(s *seen) {
			s.attachmentChanged(newAttempt("a", true, "", ""))
			s.attachmentChanged(newAttempt("b", true, "", ""))
			s.wait(time.Second)
			s.attachFails("a", "b")
			s.wait(errorsAfter)
		}},
		"of volumes that are attached elsewhere do not count": {want: drivers.Online, do: func(s *seen) {
			for _, pv := range []string{"a", "b"} {
				elsewhere := newAttempt(pv, true, "", "")
				elsewhere.Name, elsewhere.Spec.NodeName = "elsewhere-"+pv, "node-b"
				s.attachmentChanged(elsewhere)
			}
			s.attachFails("a", "b")
			s.wait(time.Hour)
		}},
	})
}

func (s *seen) readyIs(status corev1.ConditionStatus) {
	s.nodeChanged(newNodeIn(status, s.clock.Now()))
}

// silence has the node renew its lease no more, and the node controller say so.
func (s *seen) silence() {
	s.stopRenewing(node)
	s.leases[node] = today.Add(-time.Hour)
	s.readyIs(corev1.ConditionUnknown)
}

func TestNodeThatIsGone(t *testing.T) {
	runScenarios(t, map[string]scenario{
		"does not renew its lease while we watch": {want: drivers.Offline, do: func(s *seen) { s.silence(); s.wait(staleAfter + leaseInterval) }},
		"is not one that is not Ready but renews, whatever its clock says": {want: drivers.Online, do: func(s *seen) {
			s.readyIs(corev1.ConditionFalse)
			s.wait(time.Hour)
		}},
		"nor where the node controller is blind": {want: drivers.Online, do: func(s *seen) {
			s.readyIs(corev1.ConditionUnknown)
			s.wait(time.Hour)
		}},
		"nor one that is Ready, with a lease that nobody renews": {want: drivers.Online, do: func(s *seen) {
			s.stopRenewing(node)
			s.leases[node] = today.Add(-time.Hour)
			s.wait(time.Hour)
		}},
		"comes back when it renews, before it is Ready": {want: drivers.Online, do: func(s *seen) {
			s.silence()
			s.wait(time.Hour)
			s.renewing = []string{node}
			s.wait(15 * time.Second)
		}},
		"comes back when it is Ready": {want: drivers.Online, do: func(s *seen) {
			s.silence()
			s.wait(time.Hour)
			s.readyIs(corev1.ConditionTrue)
		}},
		"is gone whatever its node plugin's pod is said to be": {want: drivers.Offline, do: func(s *seen) {
			s.silence()
			s.podChanged(newPluginPod("plugin-1", "1", false))
			s.wait(time.Hour)
		}},
	})
}

func TestNodeWhoseLeaseIsNotWatchedThroughout(t *testing.T) {
	runScenarios(t, map[string]scenario{
		"is not known to be gone while we have watched for less, however old it is": {want: drivers.Unknown, do: func(s *seen) {
			s.silence()
			s.wait(staleAfter)
		}},
		"is not known to be gone where it cannot be read": {want: drivers.Unknown, do: func(s *seen) {
			s.stopRenewing(node)
			s.readyIs(corev1.ConditionUnknown)
			s.wait(time.Hour)
		}},
		"is not known to be gone after we slept": {want: drivers.Unknown, do: func(s *seen) {
			s.silence()
			s.wait(leaseInterval)
			s.clock.Step(time.Hour)
			s.wait(leaseInterval)
		}},
		"is gone again only after it was watched again": {want: drivers.Unknown, do: func(s *seen) {
			s.silence()
			s.wait(time.Hour)
			s.readyIs(corev1.ConditionTrue)
			s.silence()
			s.check("at once", drivers.Unknown)
			s.wait(staleAfter)
		}},
	})
}

func TestNodeWhoseLeaseCannotBeRead(t *testing.T) {
	runScenarios(t, map[string]scenario{
		"is not known to be gone after reads that failed for too long in between": {want: drivers.Unknown, do: func(s *seen) {
			s.silence()
			s.wait(30 * time.Second)
			s.readsFail(leaseGap)
			s.wait(30 * time.Second)
		}},
		"is gone in spite of reads that failed for a moment in between": {want: drivers.Offline, do: func(s *seen) {
			s.silence()
			s.wait(30 * time.Second)
			s.readsFail(leaseGap - leaseInterval)
			s.wait(leaseInterval)
		}},
		"is gone also while a read fails": {want: drivers.Offline, do: func(s *seen) {
			s.silence()
			s.wait(time.Hour)
			s.readsFail(leaseGap)
		}},
		"is not known to be gone any more while reads fail for longer": {want: drivers.Unknown, do: func(s *seen) {
			s.silence()
			s.wait(time.Hour)
			s.readsFail(leaseGap + leaseInterval)
		}},
		"is not known to be gone when it has no lease": {want: drivers.Unknown, do: func(s *seen) {
			s.silence()
			s.wait(time.Hour)
			s.leases[node] = noLease
			s.wait(leaseInterval)
		}},
		"is not known to renew any more while reads fail": {want: drivers.Unknown, do: func(s *seen) {
			s.readyIs(corev1.ConditionUnknown)
			s.wait(time.Hour)
			s.stopRenewing(node)
			s.readsFail(leaseGap + leaseInterval)
		}},
	})
}

// readsFail has the reads of the node's lease fail for so long.
func (s *seen) readsFail(d time.Duration) {
	before := s.leases[node]
	delete(s.leases, node)
	s.wait(d)
	s.leases[node] = before
}

func TestNodeThatBootsForTheFirstTime(t *testing.T) {
	s := newSeen(t)
	s.csiNodeChanged(newCSINode(today, "another.driver"))
	s.know(driver)
	s.renewing = []string{node}
	s.nodeChanged(newNodeIn(corev1.ConditionFalse, today))
	s.podChanged(newPluginPod("plugin-1", "1", false))
	s.check("before its lease was read twice", drivers.Unknown)
	s.wait(5 * time.Minute)
	s.checkNotKnown("while it is not Ready")
	s.nodeChanged(newNodeIn(corev1.ConditionTrue, s.clock.Now()))
	s.wait(bootGrace - time.Second)
	s.checkNotKnown("while the node plugin starts")
	s.wait(time.Second)
	s.check("when the node plugin does not start", drivers.Degraded)
	s.podChanged(newPluginPod("plugin-1", "1", true))
	s.csiNodeChanged(newCSINode(today, driver))
	s.check("when it has started", drivers.Online)
}

// know has the driver be registered on some other node.
func (s *seen) know(provisioner string) {
	other := newCSINode(today, provisioner)
	other.Name = "node-z"
	s.csiNodeChanged(other)
}

func TestDriverThatHasNothingToDoWithTheNode(t *testing.T) {
	s := newSeen(t)
	s.know(driver)
	s.nodeChanged(newNodeIn(corev1.ConditionTrue, today.Add(-time.Hour)))
	s.csiNodeChanged(newCSINode(today.Add(-time.Hour), "another.driver"))
	s.wait(time.Hour)
	s.checkNotKnown("a node without anything of the driver")

	s.csiNodeChanged(newCSINode(today.Add(-time.Hour), "another.driver", driver))
	s.podChanged(newPluginPod("plugin-1", "1", true))
	s.check("the driver is installed", drivers.Online)
	s.podDeleted(newPluginPod("plugin-1", "1", true))
	s.csiNodeChanged(newCSINode(today.Add(-time.Hour), "another.driver"))
	s.checkNotKnown("the driver is taken off the node")
	s.wait(time.Hour)
	s.checkNotKnown("an hour later")
	if len(s.health.pending) != 0 {
		t.Errorf("%d parts are still looked at every second, want none", len(s.health.pending))
	}
}

func TestDriverWithAttachmentsIsMissedWithoutNodePluginToo(t *testing.T) {
	s := newSeen(t)
	s.nodeChanged(newNodeIn(corev1.ConditionTrue, today.Add(-time.Hour)))
	s.csiNodeChanged(newCSINode(today.Add(-time.Hour), driver))
	s.attachmentChanged(newAttempt("attachment", true, "", ""))
	s.csiNodeChanged(newCSINode(today.Add(-time.Hour)))
	s.wait(notReadyAfter - time.Second)
	s.check("before it counts", drivers.Online)
	s.wait(time.Second)
	s.check("a minute later", drivers.Degraded)
	s.attachmentDeleted(newAttempt("attachment", true, "", ""))
	s.checkNotKnown("without anything of the driver on the node")
}

func TestNodeThatIsRemoved(t *testing.T) {
	s := newRunning(t)
	s.nodeDeleted(newNodeIn(corev1.ConditionTrue, today))
	s.checkNotKnown("a node that is removed")
	s.csiNodeDeleted(newCSINode(today))
	s.podDeleted(newPluginPod("plugin-1", "1", true))
	if nodes, parts, pods := len(s.health.nodes), len(s.health.parts), len(s.health.pods); nodes+parts+pods != 0 {
		t.Errorf("%d nodes, %d parts and %d pods are kept, want none", nodes, parts, pods)
	}
}

func TestHealthTellsEachChangeOnce(t *testing.T) {
	s := newRunning(t)
	changed := []drivers.Change{{Provisioner: driver, Node: node}}
	s.podChanged(newPluginPod("plugin-1", "1", false))
	s.wait(notReadyAfter - time.Second)
	if diff := cmp.Diff([]drivers.Change(nil), s.told); diff != "" {
		t.Errorf("changes before anything counts (-want +got):\n%s", diff)
	}
	s.wait(time.Hour)
	if diff := cmp.Diff(changed, s.told); diff != "" {
		t.Errorf("changes once a signal counts (-want +got):\n%s", diff)
	}
	s.told = nil
	s.csiNodeChanged(newCSINode(today.Add(-time.Hour)))
	s.wait(time.Hour)
	before, _ := s.NodeReport(driver, node)
	s.podChanged(newPluginPod("plugin-1", "1", true))
	if after, _ := s.NodeReport(driver, node); after == before || after.State != before.State {
		t.Errorf("after one of two signals ended the report is %+v, want %s with the other one's message", after, before.State)
	}
	s.nodeChanged(newNodeIn(corev1.ConditionTrue, today.Add(time.Hour)))
	s.csiNodeChanged(newCSINode(today.Add(-time.Hour), "another.driver"))
	for _, change := range s.told {
		if change == changed[0] {
			t.Error("a change is told of a node of which only the message changed, that sent a heartbeat and got another driver")
		}
	}
}

func TestOnlyLeasesOfNodesThatAreNotReadyAreRead(t *testing.T) {
	s := newRunning(t)
	if diff := cmp.Diff([]string(nil), s.notReady()); diff != "" {
		t.Errorf("nodes whose leases are read while all are Ready (-want +got):\n%s", diff)
	}
	s.nodeChanged(newNodeIn(corev1.ConditionFalse, today))
	other := newNodeIn(corev1.ConditionFalse, today)
	other.Name = "node-without-storage"
	s.nodeChanged(other)
	if diff := cmp.Diff([]string{node}, s.notReady()); diff != "" {
		t.Errorf("nodes whose leases are read (-want +got):\n%s", diff)
	}
}

func TestNodeReportAllocatesNothing(t *testing.T) {
	s := newRunning(t)
	if allocations := testing.AllocsPerRun(1000, func() { s.NodeReport(driver, node) }); allocations > 0 {
		t.Errorf("NodeReport allocates %.0f times, want 0", allocations)
	}
}
