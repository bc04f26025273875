#!/usr/bin/env bash
# Copyright The Roost Authors.
# SPDX-License-Identifier: Apache-2.0

# Generates in a copy of the repository and compares; the repository itself stays as it is.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

copy="$(mktemp -d)"
trap 'rm -rf "${copy}"' EXIT

source_files | tar -cf - -T - | tar -xf - -C "${copy}"
(cd "${copy}" && hack/update-codegen.sh) >"${copy}/codegen.log" 2>&1 || {
	cat "${copy}/codegen.log" >&2
	fail "hack/update-codegen.sh failed"
}

# Files that should not be there any more count too: both sides are compared whole.
failed=0
for dir in apis manifests; do
	diff -ruN "${dir}" "${copy}/${dir}" || failed=1
done
((failed == 0)) || fail "generated files are out of date; run \`make generate\`"
