#!/usr/bin/env bash
# Copyright The Roost Authors.
# SPDX-License-Identifier: Apache-2.0

# test.sh [PACKAGES...]: runs the unit and integration tests and ends with their number. The integration tests start the
# programs that hack/build.sh makes, and run one package at a time: they measure times, and each has a whole control plane to
# itself. Vet runs once, in `make lint`, and not again in every test's build.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tool gotestsum --format pkgname-and-test-fails --format-hide-empty-pkg --hide-summary skipped -- \
	-p 1 -vet=off -timeout 40m "${@:-./...}"
