// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Command controller-manager runs Roost's loops: verdicts over the storage of nodes, and the failover that follows from
// them. Its configuration is a file of kind ControllerManagerConfiguration (manager.roost.dev/v1alpha1), and flags that
// override it. Many may run; one leads, and the others stand by with warm caches.
package main
