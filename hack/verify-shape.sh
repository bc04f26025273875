#!/usr/bin/env bash
# Copyright The Roost Authors.
# SPDX-License-Identifier: Apache-2.0

# Holds what the linter cannot see: every package has a doc.go with a package comment, no file is too long, no package is
# called after nothing, and every file that is not Go has the licence header too.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly MAX_LINES=400
readonly MAX_TEST_LINES=800
readonly EMPTY_NAMES='^(util|utils|common|helper|helpers|types|misc)$'

problems=0
problem() {
	echo "$*" >&2
	problems=$((problems + 1))
}

check_package() {
	local dir="$1"
	if [[ ! -f "${dir}/doc.go" ]]; then
		problem "${dir}: no doc.go"
	elif ! grep -qE '^(// (Package|Command) |/\*)' "${dir}/doc.go"; then
		problem "${dir}/doc.go: no package comment"
	fi
	[[ ! "${dir##*/}" =~ ${EMPTY_NAMES} ]] || problem "${dir}: name the package after what it holds"
}

while IFS= read -r dir; do check_package "${dir}"; done < <(source_files '*.go' | sed -E 's|/?[^/]*$||; s|^$|.|' | sort -u)

mapfile -t go_files < <(source_files '*.go')
while IFS= read -r line; do problem "${line}"; done < <(
	awk -v max="${MAX_LINES}" -v max_test="${MAX_TEST_LINES}" '
		/^\/\/ Code generated .* DO NOT EDIT\.$/ { generated[FILENAME] = 1 }
		{ lines[FILENAME]++ }
		END {
			for (file in lines) {
				limit = file ~ /_test\.go$/ ? max_test : max
				if (lines[file] > limit && !(file in generated)) print file ": " lines[file] " lines, at most " limit
			}
		}' "${go_files[@]}" | sort
)

mapfile -t other_files < <(source_files '*.sh' '*.yaml' '*.yml' Makefile .ci/run | grep -vE '\.roost\.dev_.*\.yaml$')
while IFS= read -r file; do problem "${file}: no licence header"; done < <(
	grep -L 'SPDX-License-Identifier: Apache-2\.0' "${other_files[@]}"
)

((problems == 0)) || fail "${problems} problems"
