// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scheme makes kube-scheduler know the arguments of Roost's plugins.
//
// Importing it is enough, and cmd/kube-scheduler does so: from then on a KubeSchedulerConfiguration decodes into typed
// arguments, with defaults even where pluginConfig does not name the plugin, and an unknown field is an error. Without
// it the arguments reach the plugin as raw bytes and a misspelt field passes in silence. The package has to be
// initialised before the first configuration is read. It adds to kube-scheduler's scheme and never takes away.
package scheme
