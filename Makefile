# Copyright The Roost Authors.
# SPDX-License-Identifier: Apache-2.0

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build demo sandbox bench bench-quick bench-page bench-failover bench-idle bench-snapshots test test-race test-race-own generate verify lint vulncheck clean

# One setting for every build keeps one build cache. The race detector alone needs cgo, and so a C compiler.
export CGO_ENABLED := 0
test-race test-race-own: export CGO_ENABLED := 1

# PKG narrows test and test-race: make test PKG=./drivers/...
PKG ?= ./...

TOOL := go tool -modfile=go.tools.mod

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build our programs and those of the sandbox into bin/; the first time takes 10 to 12 minutes on two cores.
	@hack/build.sh

demo: build ## Start the sandbox, play the story, and exit 0 only if every step held.
	@bin/sandbox demo

sandbox: build ## Start a whole control plane on this machine and leave it running until Ctrl-C.
	@bin/sandbox up

bench: build ## Measure scheduling with Roost and with the stock scheduler, and write docs/performance.md; takes about 36 minutes.
	@hack/bench.sh

bench-quick: build ## The same, small and without touching the page, to see that it works; takes about 5 minutes.
	@hack/bench.sh --quick

bench-page: ## Write the tables of docs/performance.md and its picture again, of the results that are there.
	@go run ./test/perf/report -results docs/performance.json -page docs/performance.md -picture docs/performance.svg >/dev/null

bench-failover: build ## Measure failovers, 50 of them with Roost, and Kubernetes alone on the same faults; takes 25 minutes.
	@bin/sandbox bench-failover

bench-idle: build ## Measure the controller manager at rest with 1,000 nodes and 10,000 claims; takes 10 to 20 minutes.
	@bin/sandbox bench-idle

bench-snapshots: build ## Measure 5,000 snapshots that are due at one moment; takes 25 minutes.
	@bin/sandbox bench-snapshots

test: build ## Run the unit and integration tests.
	@hack/test.sh $(PKG)

test-race: ## Run all unit tests under the race detector; needs gcc, and builds much of Kubernetes a second time.
	@hack/test-race.sh $(PKG)

test-race-own: ## The same, without the packages that link Kubernetes; takes a minute.
	@hack/test-race.sh --own $(PKG)

generate: ## Write the generated code and the CRDs.
	@hack/update-codegen.sh

verify: ## Check all that a reviewer would ask for: generated code, go.mod, format, lint, shape, docs.
	@hack/verify.sh

lint: ## Run the linter alone.
	@hack/verify-lint.sh

vulncheck: ## Look the dependencies up in the Go vulnerability database; needs the network.
	@$(TOOL) govulncheck ./cmd/... ./drivers/... ./plugins/...

clean: ## Remove what was built.
	@rm -rf bin
