// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package validation checks the arguments of Roost's scheduler plugins.
//
// It takes internal arguments that have been defaulted, and gives every error it finds, each with the field, the value
// and what is allowed. It never changes the arguments and never stops at the first error. Plugins call it when they
// are made, so that a bad configuration stops the scheduler at start.
package validation
