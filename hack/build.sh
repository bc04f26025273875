#!/usr/bin/env bash
# Copyright The Roost Authors.
# SPDX-License-Identifier: Apache-2.0

# Builds into bin/ our programs, and into bin/k8s/ the programs that the sandbox runs, all from go.mod's own module graph.
# The latter are the tools of go.mod: that is their one list. What is up to date is left alone.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly OURS=(./cmd/kube-scheduler ./cmd/controller-manager ./cmd/sandbox ./test/simstorage)
# How often a build says how far it is, in seconds.
readonly INTERVAL=10

work="$(mktemp -d)"
build_pid=""
trap '[[ -z "${build_pid}" ]] || kill "${build_pid}" 2>/dev/null || true; rm -rf "${work}"' EXIT
trap 'exit 130' INT TERM

# version_flags stamps Kubernetes' version, as go.mod has it, into what reports a version. These are flags of the linker
# alone: compiled packages stay the same for every program and test.
version_flags() {
	local version="$1" package minor
	minor="${version#v*.}"
	for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
		echo "-X ${package}.gitVersion=${version} -X ${package}.gitMajor=${version:1:1} -X ${package}.gitMinor=${minor%%.*}"
	done
}

elapsed() {
	printf '%dm%02ds' $((SECONDS / 60)) $((SECONDS % 60))
}

# say TEXT: one line of progress, in place on a terminal.
say() {
	if [[ -t 1 ]]; then printf '\r\033[K%s' "$1"; else echo "$1"; fi
}

# watch LOG TOTAL NAME: say how far the build is until it ends. TOTAL is empty where nobody counted.
watch() {
	local log="$1" total="$2" name="$3" since=0 said="" done_count
	while kill -0 "${build_pid}" 2>/dev/null; do
		sleep 1
		since=$((since + 1))
		((since % INTERVAL == 0)) || continue
		done_count="$(packages <"${log}" | wc -l)"
		if ((done_count == 0)) && grep -q '^go: downloading ' "${log}"; then
			say "${name}: fetched $(grep -c '^go: downloading ' "${log}") modules, $(elapsed)"
		elif ((done_count == 0)); then
			say "${name}: $(elapsed)"
		elif [[ -n "${total}" ]] && ((done_count >= total)); then
			say "${name}: compiled ${total} packages, linking, $(elapsed)"
		else
			say "${name}: compiled ${done_count} packages${total:+ of ${total}}, $(elapsed)"
		fi
		said=1
	done
	[[ -z "${said}" || ! -t 1 ]] || printf '\r\033[K'
}

# packages and problems split what `go install -v` prints: import paths, and all else.
packages() { grep -E '^[A-Za-z0-9._~/-]+$' || true; }
problems() { grep -vE '^[A-Za-z0-9._~/-]+$|^go: downloading ' || true; }

# finish LOG WHAT: wait for the build; when it failed, print what the compiler said and stop.
finish() {
	local pid="${build_pid}"
	build_pid=""
	if ! wait "${pid}"; then
		problems <"$1" >&2
		fail "$2 failed"
	fi
}

# install NAME DIR TOTAL PACKAGES...: go install links only what is out of date, by content and not by time.
install() {
	local name="$1" dir="$2" total="$3" log="${work}/$1.log"
	shift 3
	SECONDS=0
	GOBIN="${dir}" go install -v -buildvcs=false -ldflags="${flags}" "$@" >"${log}" 2>&1 &
	build_pid=$!
	watch "${log}" "${total}" "${name}"
	finish "${log}" "building ${name}"
	[[ ! -s "${log}" ]] || echo "${name}: built in $(elapsed)"
}

# count prints nothing and leaves in ${total} how many packages are to be compiled. On a new machine it fetches the modules.
count() {
	local log="${work}/count.log"
	SECONDS=0
	go list -buildvcs=false -deps -f '{{if .Stale}}{{.ImportPath}}{{end}}' "$@" >"${work}/stale" 2>"${log}" &
	build_pid=$!
	watch "${log}" "" "listing packages"
	finish "${log}" "listing the packages to build"
	total="$(wc -l <"${work}/stale")"
}

flags="$(version_flags "$(go list -m -f '{{.Version}}' k8s.io/kubernetes)" | tr '\n' ' ')"

total=""
if [[ ! -e bin/k8s/kube-apiserver ]]; then
	echo "building etcd, Kubernetes, kwok and the CSI sidecars from their Go modules: 10 to 12 minutes on two cores the first"
	echo "time, with 5 GB of modules and build cache; seconds from then on"
	count tool
fi
install kubernetes "${ROOT}/bin/k8s" "${total}" tool
# etcd's main package is the root of a module called server.
ln -sf server bin/k8s/etcd
install roost "${ROOT}/bin" "" "${OURS[@]}"

# The definitions of the CSI snapshot API are files of a Go module, which no binary carries.
crds="$(go list -m -f '{{.Dir}}' github.com/kubernetes-csi/external-snapshotter/client/v8)/config/crd"
mkdir -p bin/k8s/crds
for file in "${crds}"/*_*.yaml; do cat "${file}" >"bin/k8s/crds/${file##*/}"; done
