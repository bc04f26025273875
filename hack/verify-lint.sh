#!/usr/bin/env bash
# Copyright The Roost Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs golangci-lint: licence headers, import rules, length and complexity of functions, and the usual mistakes.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tool golangci-lint run ./...
