// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package validation checks the controller manager's configuration.
//
// It takes the versioned type with defaults applied, the field path where it stands, and the names of the loops that the
// program has. It returns every error that it finds, each with its field, its value and what is allowed. It changes nothing,
// sets no defaults, and asks nothing outside the configuration: whether an address is free shows at start.
package validation
