export PATH := $(PATH):/usr/local/go/bin
export GOFLAGS ?= -buildvcs=false
export PKG ?= ./...
export FUZZTIME ?= 30s
export DEFINITIONS ?= ../shared/r4

.PHONY: help run test check race fuzz bench gen schema

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

run: ## Set this machine up and serve the demo on http://localhost:8080/fhir
	@.ci/serve

test: ## Run the tests of PKG, all by default; they start a PostgreSQL of their own
	@.ci/setup test
	go test -timeout 18m $(PKG)

check: ## Hold the code against gofmt, vet, staticcheck, unparam, its import order and its budgets
	@.ci/check

race: ## Run the tests of PKG under the race detector (needs a C compiler)
	@.ci/setup test
	go test -race $(PKG)

fuzz: ## Run every fuzz target of PKG for FUZZTIME, 30s by default
	@.ci/fuzz

bench: ## Run the benchmarks of PKG
	@.ci/setup
	go test -run '^$$' -bench . -benchmem $(PKG)

gen: ## Regenerate digest and archive of the FHIR definitions from the folder DEFINITIONS
	go run ./fhir/spec/gen -definitions "$(DEFINITIONS)"

schema: ## Regenerate migrations/schema.sql, the dump of all migrations
	@.ci/setup
	go generate ./migrations
