#!/usr/bin/env bash
# Copyright The Roost Authors.
# SPDX-License-Identifier: Apache-2.0

# test-race.sh [--own] [PACKAGES...]: runs tests under the race detector. With --own only those of the packages that do not
# link k8s.io/kubernetes: with the others Kubernetes' scheduler is built a second time. Tests that start whole programs are
# left out, because the programs are not built with the detector.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export CGO_ENABLED=1
command -v "$(go env CC)" >/dev/null || fail "the race detector needs a C compiler, and $(go env CC) is not installed"

without=' github[.]com/onsi/ginkgo/'
if [[ "${1:-}" == --own ]]; then
	without+='| k8s[.]io/kubernetes/'
	shift
fi

# One line a package and a test variant: its path, then what it links. One variant that links what is left out rules it out.
mapfile -t packages < <(
	go list -test -f '{{.ImportPath}} {{join .Deps " "}}' "${@:-./...}" | awk -v without="${without}" '
		{ path = $1; sub(/(_test)?(\.test)?$/, "", path); seen[path] = 1 }
		$0 ~ without { out[path] = 1 }
		END { for (path in seen) if (!(path in out)) print path }' | sort
)
((${#packages[@]} > 0)) || fail "no package left to test"

tool gotestsum --format pkgname-and-test-fails --format-hide-empty-pkg --hide-summary skipped -- \
	-race -vet=off -timeout 20m "${packages[@]}"
