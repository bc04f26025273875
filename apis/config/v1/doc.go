// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1 holds the arguments of Roost's scheduler plugins as people write them in the pluginConfig of a
// KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1).
//
// It takes YAML or JSON and gives the internal types of roost.dev/roost/apis/config, with each field that was left out
// set to its default. A default never replaces a value that was written, an empty list included. The kinds, defaults
// and conversions are registered on kube-scheduler's own scheme builder. This package does not check values; package
// validation does.
//
// +k8s:deepcopy-gen=package
// +k8s:conversion-gen=roost.dev/roost/apis/config
// +k8s:defaulter-gen=TypeMeta
// +k8s:defaulter-gen-input=roost.dev/roost/apis/config/v1
// +groupName=kubescheduler.config.k8s.io
package v1
