#!/usr/bin/env bash
# Copyright The Roost Authors.
# SPDX-License-Identifier: Apache-2.0

# bench.sh [--quick] [--scenario NAME]: measures how fast pods are placed and where, by the stock scheduler and by ours, and what
# our functions cost. A whole run writes docs/performance.json, and the page and the picture that are made of it. A quick run
# and one of a single scenario leave theirs in bin/bench/. It needs what hack/build.sh builds.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly OUT="${ROOT}/bin/bench"
readonly FUNCTIONS=(./plugins/volumelocality ./volumelocality ./drivers/published)

arguments=()
command="make bench"
takes="about 36 minutes"
whole=1
failed=""
while (($# > 0)); do
	case "$1" in
	--quick) arguments+=(-quick) command="make bench-quick" takes="about 5 minutes" whole="" ;;
	--scenario) arguments+=(-scenario "$2") command="hack/bench.sh --scenario $2" takes="a seventh of 36 minutes" whole="" && shift ;;
	*) fail "unknown argument $1" ;;
	esac
	shift
done

echo "measuring: ${takes} by estimate, on two cores that do nothing else; the log is bin/bench/log"
rm -rf "${OUT}"
mkdir -p "${OUT}"
version="$(go list -m -f '{{.Version}}' k8s.io/kubernetes)"
commit="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
[[ -z "$(git status --porcelain 2>/dev/null)" ]] || commit+=" with changes"

go test -vet=off -c -o "${OUT}/perf.test" ./test/perf
# scheduler_perf looks for etcd in the PATH, and for its templates from where it is.
: >"${OUT}/progress"
tail -f "${OUT}/progress" &
tail_pid=$!
trap 'kill "${tail_pid}" 2>/dev/null || true' EXIT
(
	cd test/perf
	PATH="${ROOT}/bin/k8s:${PATH}" ARTIFACTS="${OUT}" KUBE_CACHE_MUTATION_DETECTOR=false \
		ROOST_BENCH_KUBERNETES="${version}" ROOST_BENCH_COMMIT="${commit}" \
		"${OUT}/perf.test" -test.run '^$' -test.bench '^BenchmarkPerfScheduling$' -test.benchtime 1x -test.timeout 3h \
		-results "${OUT}/results.json" -progress "${OUT}/progress" "${arguments[@]}" >"${OUT}/log" 2>&1
) || failed="a run failed: see bin/bench/log"

# One run that failed does not take the others' results away.
[[ -e "${OUT}/results.json" ]] || fail "${failed:-nothing was measured}"

echo "measuring the functions"
go test -vet=off -run '^$' -bench . -benchmem -benchtime 1s "${FUNCTIONS[@]}" >"${OUT}/functions" || fail "a benchmark failed: see bin/bench/functions"

report=(-results "${OUT}/results.json" -functions "${OUT}/functions" -bin "${ROOT}/bin" -command "${command}")
if [[ -n "${whole}" ]]; then
	report+=(-save docs/performance.json -page docs/performance.md -picture docs/performance.svg)
else
	report+=(-save "${OUT}/results.json" -picture "${OUT}/performance.svg")
fi
go run ./test/perf/report "${report[@]}"
[[ -z "${failed}" ]] || fail "${failed}"
