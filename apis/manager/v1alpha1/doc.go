// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is the controller manager's configuration file.
//
// It gives the kinds, their registration and their defaults. A number or duration of 0, and an empty word, count as left
// out and get the default; a pointer to 0 or false was written and stays. Package scheme decodes a file, and package
// validation says what is wrong with it. This package reads no file and checks nothing.
//
// +k8s:deepcopy-gen=package
// +k8s:defaulter-gen=TypeMeta
// +k8s:defaulter-gen-input=roost.dev/roost/apis/manager/v1alpha1
// +groupName=manager.roost.dev
package v1alpha1
