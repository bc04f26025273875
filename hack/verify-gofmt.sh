#!/usr/bin/env bash
# Copyright The Roost Authors.
# SPDX-License-Identifier: Apache-2.0

# Every Go file is formatted, generated ones too.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mapfile -t files < <(source_files '*.go')
unformatted="$(gofmt -l "${files[@]}")"
[[ -z "${unformatted}" ]] || fail "not formatted; run \`gofmt -w\` on:"$'\n'"${unformatted}"
