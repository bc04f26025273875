#!/usr/bin/env bash
# Copyright The Roost Authors.
# SPDX-License-Identifier: Apache-2.0

# go.mod and go.sum name exactly what the code needs.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

go mod tidy -diff || fail "go.mod or go.sum is not tidy; run \`go mod tidy\`"
