// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

// Package podexec is the part of a simulated kubelet that runs commands in containers: it runs them on this machine.
//
// Its inputs are the exec requests that the API server makes of a kubelet, and a Finder that says where a container's commands
// run; its outputs are the commands' streams and exit codes. A command is a plain process with this process's rights. It sees
// the environment that the Finder gives it and nothing of ours.
//
// Invariants: only who has the key of the certificate that the server was made with is served, since anything else on this
// machine, a web page too, can reach a loopback port. Every command is in the process group that it is given, so that whoever
// ends the group ends what commands left behind. As with a real kubelet, a command outlives the client that started it.
//
// It simulates no terminal, no user and no file system of a container, and it never decides whether a pod runs.
package podexec
