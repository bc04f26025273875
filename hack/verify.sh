#!/usr/bin/env bash
# Copyright The Roost Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs every hack/verify-*.sh, reports every failure, and exits non-zero when there was one.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

passed=0
failed=()
for script in hack/verify-*.sh; do
	name="$(basename "${script}" .sh)"
	SECONDS=0
	echo "--- ${name}"
	if "${script}"; then
		echo "ok  ${name} (${SECONDS}s)"
		passed=$((passed + 1))
	else
		echo "FAIL ${name} (${SECONDS}s)"
		failed+=("${name}")
	fi
done

echo "verify: ${passed} passed, ${#failed[@]} failed${failed[*]:+: ${failed[*]}}"
((${#failed[@]} == 0))
