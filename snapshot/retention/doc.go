// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package retention decides which restore points of a schedule may go.
//
// Its input is the schedule's policy, its time zone, the present time and the points that there are; its output which of
// them to delete, and which it would delete but for a guard.
//
// Of the ready points:
//   - Where any of last, hourly, daily, weekly and monthly is set, those go that none of them keeps. Their sets are a union:
//     one point may be the last, the day's and the month's. A period without a point takes no number.
//   - Those older than maxAge go, also where a number would keep them: maxAge is the promise that nothing older exists. A
//     point exactly as old is kept. Alone, maxAge is all there is. With neither, everything is kept.
//   - The newest minReady stay, one at least, whatever else is said: a schedule that fails for a month, or whose storage
//     system has a wrong clock, does not end without a restore point.
//   - Pinned ones and those in use stay, and count.
//   - The newest point of each claim stays while the claim exists, by its UID: one that has dropped out, since it was lost,
//     lost its label or could not be cut, is not forgotten by runs that are ready without it. What is left of a claim that
//     was deleted goes by the numbers.
//
// Of the failed points the newest few stay; they never take the place of a ready one. What is neither ready nor failed is
// being made, and stays. What is being deleted counts for nothing. Foreign points do not count and are not deleted.
//
// Invariants: deciding again once the decision was carried out deletes nothing. A larger number or age never deletes more.
//
// It does nothing itself, and reads no clock.
package retention
