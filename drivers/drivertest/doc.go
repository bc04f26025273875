// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package drivertest holds the driver contract as checks that run. The test of every driver calls Conformance.
//
// A driver's author writes a Fixture, which is the storage system under the driver: a real one, its vendor's fake, or
// objects in a fake API server. Conformance works the fixture and looks at what the driver answers.
//
// The checks cover what all drivers have in common. What is special to a storage system, such as how its replica states
// map to ours, is for the driver's own tests. The package is used in tests only.
package drivertest
