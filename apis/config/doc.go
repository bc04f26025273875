// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package config holds the arguments of Roost's scheduler plugins as the plugins read them.
//
// It is the internal version of the group kubescheduler.config.k8s.io. The types get here decoded, defaulted and
// converted from a KubeSchedulerConfiguration of version v1, by way of the packages v1 and scheme. Each kind is named
// after its plugin, <PluginName>Args, because that is the only name under which kube-scheduler looks for it. This
// package registers the kinds on kube-scheduler's own scheme builder; it does not default and does not check values,
// and it never reads a file.
//
// +k8s:deepcopy-gen=package
// +groupName=kubescheduler.config.k8s.io
package config
