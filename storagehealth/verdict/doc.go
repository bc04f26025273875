// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package verdict concludes from a storage system's reports which nodes' storage failed, and when pods may be moved away.
//
// Its inputs are what the storage system says of its part on a node at the moment (drivers.NodeReport), the operator's
// maintenance, the time, and the status that an earlier run left behind. Its outputs are a Verdict for each node, the
// nodes whose verdict changed, the time at which one changes by itself, and the brakes that keep pods where they are.
// Next, the step from one verdict to the next, is pure; the Board holds the verdicts in memory and reads the reports.
//
// # From reports to states
//
// Offline is the only bad report. Online, Degraded and StorageDown serve I/O: they are good. Unknown is silence.
//
//		last state            bad                good               silent or maintenance
//		Healthy               Suspect            Healthy            Healthy
//		Suspect               Suspect, then (1)  Healthy            Healthy
//		Unhealthy, FailedOver same               Recovering         same, and no pod is moved
//		Recovering            same, then (2)     same, then (3)     Recovering
//
//	 1. Unhealthy, when it was bad for UnhealthyAfter and in BadReports reports.
//	 2. Unhealthy, as (1), and no earlier than UnhealthyAfter and HealthyAfter together after it began to recover.
//	 3. Healthy, when it was good for HealthyAfter.
//
// What is bad while Recovering does not count as failed at once: no new pod came to the node meanwhile, and a pod that
// is still there works as long as the storage comes and goes. So a node fails at most once in UnhealthyAfter and
// HealthyAfter together, whatever its storage does in between.
//
// # Invariants
//
//   - Only an Offline report makes a node worse: silence and maintenance never do.
//   - Nothing is bad for longer than this process saw it: a bad report counts as a further one only ReportPeriod after
//     the last one that counted, and BadReports of them are needed besides UnhealthyAfter. A storm of events, a clock
//     that jumps forward, and a restart are no reason to act. The one time that is taken from an earlier run is the
//     beginning of a suspicion, and only if it is so recent that somebody was watching.
//   - A time in the future, left by another process or by a clock that jumped back, is taken as now: a wait begins
//     anew, so that Roost acts later by that wait at most, and never earlier.
//   - A verdict whose state, storage state and reason stay the same does not change: not for a new wording of the
//     storage system's message. A status is written for a change only.
//   - A brake has no memory. It holds while its reason does.
//
// It never calls the API server, never waits, and decides nothing about single pods: which of them can move, and how, is
// for others, who ask MayMove before each write.
package verdict
