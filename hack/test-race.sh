#!/usr/bin/env bash
# Copyright The Roost Authors.
# SPDX-License-Identifier: Apache-2.0

# test-race.sh [PACKAGES...]: runs tests under the race detector, of the packages that do not link k8s.io/kubernetes: with
# those all of Kubernetes would have to be built a second time. Tests that start whole programs are left out too, because
# the programs are not built with the detector.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export CGO_ENABLED=1
command -v "$(go env CC)" >/dev/null || fail "the race detector needs a C compiler, and $(go env CC) is not installed"

# One line a package and a test variant: its path, then what it links. One variant that links Kubernetes rules it out.
mapfile -t packages < <(
	go list -test -f '{{.ImportPath}} {{join .Deps " "}}' "${@:-./...}" | awk '
		{ path = $1; sub(/(_test)?(\.test)?$/, "", path) }
		/ k8s\.io\/kubernetes\// { linked[path] = 1 }
		/ github\.com\/onsi\/ginkgo\// { linked[path] = 1 }
		{ seen[path] = 1 }
		END { for (path in seen) if (!(path in linked)) print path }' | sort
)
((${#packages[@]} > 0)) || fail "no package left to test: all that were asked for link Kubernetes"

tool gotestsum --format pkgname-and-test-fails --format-hide-empty-pkg --hide-summary skipped -- \
	-race -vet=off -timeout 20m "${packages[@]}"
