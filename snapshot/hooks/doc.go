// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hooks runs commands in pods around the cut of an ApplicationSnapshot: one that freezes, and always the one that
// thaws.
//
// Inputs: the hooks in the spec, the pods as the API server has them, and the freeze journal in the status. Outputs: commands
// in containers, and the journal, which says for each pod what was tried and what came of it.
//
// Invariants: the journal has a pod as Attempted before a command runs in it, so that whoever comes next can thaw it. The
// timer in the container runs before the freeze, so that it thaws when nobody comes next. Every pod where a freeze was tried
// is thawed, however that ended, in reverse order, and neither a journal that cannot be written nor a manager that is told to
// end keeps a thaw from running. A pod is frozen once a journal, and by one journal at a time. Nothing is frozen for longer
// than hooks.maxFreeze, up to the second that the timer is rounded by.
//
// It makes no snapshot and sets no condition, and it does not decide what a snapshot is worth: it says only whether the
// application was held still (HeldThrough).
package hooks
