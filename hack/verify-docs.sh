#!/usr/bin/env bash
# Copyright The Roost Authors.
# SPDX-License-Identifier: Apache-2.0

# Documents that lie are worse than none: every relative link in a Markdown file leads to a file, every anchor to a heading,
# and every Makefile target that a document or a message of ours names exists.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

problems=0
problem() {
	echo "$*" >&2
	problems=$((problems + 1))
}

# headings FILE: the anchors of a file's headings, as GitHub makes them.
headings() {
	sed '/^```/,/^```/d' "$1" | sed -nE 's/^#+ +(.*)$/\1/p' | tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'
}

# check_link FILE LINK: resolve one link against the file that it stands in.
check_link() {
	local file="$1" link="$2" target anchor
	[[ ! "${link}" =~ ^[a-z]+: ]] || return 0
	target="${link%%#*}"
	anchor=""
	[[ "${link}" != *#* ]] || anchor="${link#*#}"
	if [[ -z "${target}" ]]; then
		target="${file}"
	elif [[ "${target}" == /* ]]; then
		target=".${target}"
	else
		target="$(dirname "${file}")/${target}"
	fi
	if [[ ! -e "${target}" ]]; then
		problem "${file}: the link ${link} leads nowhere"
	elif [[ -n "${anchor}" && "${target}" == *.md ]] && ! headings "${target}" | grep -qxF -- "${anchor}"; then
		problem "${file}: the link ${link} names a heading that does not exist"
	fi
}

# links FILE: the targets of links and images, inline and by reference, outside of code.
links() {
	sed '/^ *```/,/^ *```/d' "$1" | sed -E 's/`[^`]*`//g' | {
		grep -oE '\]\([^) ]+|^\[[^]]+\]: *[^ ]+' || true
	} | sed -E 's/^\]\(//; s/^\[[^]]+\]: *//; s/^<|>$//g'
}

while IFS= read -r file; do
	while IFS= read -r link; do check_link "${file}" "${link}"; done < <(links "${file}")
done < <(source_files '*.md')

# A backquoted make with a word after it is meant as a command, and so is one at the start of a line of a document.
targets="$(sed -nE 's/^([a-z-]+):.*## .*/\1/p' Makefile)"
while IFS=: read -r file line target; do
	grep -qxF -- "${target}" <<<"${targets}" || problem "${file}:${line}: \`make ${target}\` is not a target of the Makefile"
done < <(
	{
		source_files '*.md' | { xargs -r grep -HnoE '(`|^ *\$? ?)make [a-z][a-z-]*' || true; }
		source_files '*.go' '*.sh' '*.yaml' | { xargs -r grep -HnoE '`make [a-z][a-z-]*' || true; }
	} |
		sed -nE 's/^([^:]+):([0-9]+):.*make ([a-z-]+)$/\1:\2:\3/p' | sort -u
)

# A test that a page names exists.
while IFS=: read -r file name; do
	git grep -qE "^func ${name}\\(" -- '*_test.go' || problem "${file}: there is no test called ${name}"
done < <(source_files '*.md' | xargs -r grep -HoE '`([a-z]+\.)?(Test|Fuzz)[A-Z][A-Za-z0-9]*`' | sed -E 's/`([a-z]+\.)?([A-Za-z0-9]+)`$/\2/')

((problems == 0)) || fail "${problems} problems"
