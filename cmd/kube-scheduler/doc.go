// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kube-scheduler is kube-scheduler with Roost's plugins compiled in. Its flags and its configuration file are
// those of kube-scheduler; a profile that enables no plugin of Roost schedules as the stock binary does.
package main
