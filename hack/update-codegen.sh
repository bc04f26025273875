#!/usr/bin/env bash
# Copyright The Roost Authors.
# SPDX-License-Identifier: Apache-2.0

# Writes every generated file: deep copies, defaults, conversions and CRDs. Nothing else writes them.
# When neither a source nor a generated file changed since the last run, it does nothing.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly HEADER=hack/boilerplate.go.txt
readonly CRDS=manifests/components/crds
readonly STAMP=bin/.codegen.sha256

# digest covers what goes in and what came out, so that an edited generated file is written again.
digest() {
	{
		find apis -name '*.go' ! -name '*_test.go' -print0
		find "${CRDS}" -name '*.yaml' -print0 2>/dev/null || true
		printf '%s\0' go.mod go.tools.mod "${HEADER}" hack/update-codegen.sh
	} | sort -z | xargs -0 sha256sum
}

if [[ -f "${STAMP}" ]] && digest | cmp -s - "${STAMP}"; then
	echo "generated code is up to date"
	exit 0
fi

echo "generating deep copies and CRDs of apis/storage and apis/snapshot"
rm -f "${CRDS}"/*.roost.dev_*.yaml
tool controller-gen object:headerFile="${HEADER}" crd paths=./apis/storage/... paths=./apis/snapshot/... output:crd:dir="${CRDS}"

echo "generating deep copies of apis/config"
tool deepcopy-gen --go-header-file "${HEADER}" --output-file zz_generated.deepcopy.go ./apis/config ./apis/config/v1
echo "generating deep copies of apis/manager"
tool deepcopy-gen --go-header-file "${HEADER}" --output-file zz_generated.deepcopy.go ./apis/manager/v1alpha1

echo "generating defaults of apis/config"
tool defaulter-gen --go-header-file "${HEADER}" --output-file zz_generated.defaults.go ./apis/config/v1
echo "generating defaults of apis/manager"
tool defaulter-gen --go-header-file "${HEADER}" --output-file zz_generated.defaults.go ./apis/manager/v1alpha1
echo "generating conversions of apis/config"
tool conversion-gen --go-header-file "${HEADER}" --output-file zz_generated.conversion.go ./apis/config/v1

mkdir -p bin
digest >"${STAMP}"
