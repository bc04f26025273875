// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bench measures failovers in a sandbox: how long after a fault a pod runs again, with Roost and with Kubernetes
// alone.
//
// Input: a running sandbox with everything in it, and how many failures of each kind to cause. Outputs: lines that tell how
// far it is, and a Report, which has a Markdown table and says whether the promise was kept.
//
// A failure is caused on a node that is well, with a pod that runs there and whose volume has its other copy on another node
// that is well; no two failures at once concern the same nodes. Every fault is taken back before the next kind. Which pods and how long to wait
// before each fault follows from the seed.
//
// It measures what the sandbox has: kubelets are kwok's, and nothing starts in a pod.
package bench
