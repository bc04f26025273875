// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"

	"roost.dev/roost/drivers"
)

// aThird is the percentage that stands for a third exactly: 2 nodes of 6 are 33.3 percent.
const aThird = 33

// Brake is why no pod is moved away from a node.
type Brake struct {
	// Reason is one of this package's reasons.
	Reason string
	// Message tells a person why.
	Message string
}

// fleet is all nodes of a provisioner, at one moment.
type fleet struct {
	provisioner string
	// tracked is how many there are, and known how many of them the storage system reports on.
	tracked, known int
	// bad is how many of the known report that they are Offline, or have failed. One in maintenance is not bad: an operator
	// knows about it. It is no evidence that the storage system or our view of it is broken. Neither is a failed one that
	// fell silent: its storage may have been taken away for good, and would count for ever.
	bad int
}

func (f *fleet) add(v Verdict, obs Observation) {
	kind := obs.kind()
	f.tracked++
	if storageOf(obs.Report) != drivers.Unknown {
		f.known++
	}
	if kind == bad || kind == good && v.Failed() {
		f.bad++
	}
}

// tooManyBad allows one bad node of any number.
func (f *fleet) tooManyBad(maxPercent int) bool {
	switch {
	case f.bad <= 1:
		return false
	case maxPercent == aThird:
		return f.bad*3 > f.known
	default:
		return f.bad*100 > f.known*maxPercent
	}
}

// move is what the brakes look at before a pod is moved away from a node.
type move struct {
	policy  Policy
	verdict Verdict
	obs     Observation
	fleet   fleet
}

// brakeCheck says whether a brake holds, and which.
type brakeCheck func(m move) (Brake, bool)

// brakes are in order: the first that holds is the one that is told.
var brakes = []brakeCheck{
	hasNotFailed,       // There is no reason to move a pod.
	isInMaintenance,    // Somebody works on the node.
	isSilentNow,        // It may have come back.
	isGoodNow,          // It has come back.
	hasTooManyBadNodes, // It is not the node.
}

func hasNotFailed(m move) (Brake, bool) {
	return Brake{Reason: ReasonNotBad, Message: "The node is " + string(m.verdict.State) + "."}, !m.verdict.Failed()
}

func isInMaintenance(m move) (Brake, bool) {
	if m.obs.Maintenance {
		return Brake{Reason: ReasonMaintenance, Message: "An operator set spec.maintenance."}, true
	}
	return Brake{Reason: ReasonMaintenance, Message: sentences(said(m.obs.Report), "The storage system has the node in maintenance.")},
		m.obs.kind() == outOfService
}

func isSilentNow(m move) (Brake, bool) {
	return Brake{Reason: ReasonStorageSilent, Message: "The storage system does not say how it is on the node."}, m.obs.kind() == silent
}

func isGoodNow(m move) (Brake, bool) {
	return Brake{Reason: ReasonNotBad, Message: sentences(said(m.obs.Report), "The node's storage serves I/O again.")}, m.obs.kind() == good
}

func hasTooManyBadNodes(m move) (Brake, bool) {
	return tooManyBadNodes(m.policy, m.fleet)
}

func tooManyBadNodes(policy Policy, f fleet) (Brake, bool) {
	if !f.tooManyBad(policy.MaxUnhealthyPercent) {
		return Brake{}, false
	}
	message := fmt.Sprintf("%d nodes of %s are bad, of %d that it reports on: that is more than one, and more than %d percent. "+
		"The storage system or the view of it is broken, rather than so many nodes.", f.bad, f.provisioner, f.known, policy.MaxUnhealthyPercent)
	return Brake{Reason: ReasonTooManyBadNodes, Message: message}, true
}

func wholeFleetSilent(f fleet) (Brake, bool) {
	message := fmt.Sprintf("%s reports on none of its %d nodes.", f.provisioner, f.tracked)
	return Brake{Reason: ReasonStorageSilent, Message: message}, f.tracked > 0 && f.known == 0
}
