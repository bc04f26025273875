# Copyright The Roost Authors.
# SPDX-License-Identifier: Apache-2.0

# Settings and functions that every script in hack/ starts from. It is sourced, never run.

set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "${ROOT}"

# One setting for every build, so that there is one build cache; the race detector alone needs cgo.
export CGO_ENABLED="${CGO_ENABLED:-0}"

# Sorting, and so every generated or compared list, is the same on every machine.
export LC_ALL=C

# tool NAME ARGS...: run a tool in the version that go.tools.mod pins.
tool() {
	go tool -modfile="${ROOT}/go.tools.mod" "$@"
}

# fail MESSAGE...: say it on stderr and stop.
fail() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

# source_files [PATTERN...]: the files of the repository that match, also those not added to git yet. Patterns are git's: a *
# matches slashes too. Outside a git checkout (a source archive) all files but bin/ count.
source_files() {
	if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		git ls-files --cached --others --exclude-standard -- "$@"
	else
		local pattern file
		find . -path ./bin -prune -o -type f -print | sed 's|^\./||' | while IFS= read -r file; do
			(($# > 0)) || echo "${file}"
			for pattern in "$@"; do [[ "${file}" != ${pattern} ]] || echo "${file}"; done
		done
	fi | sort -u | while IFS= read -r file; do [[ ! -f "${file}" ]] || echo "${file}"; done
}
