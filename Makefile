export PATH := $(PATH):/usr/local/go/bin
export GOFLAGS ?= -buildvcs=false
export PKG ?= ./...
export FUZZTIME ?= 30s
export RESOURCES ?= 100000
export DEFINITIONS ?= ../shared/r4

.PHONY: help run test check race fuzz bench microbench gen schema dist torture

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

run: ## Set this machine up and serve the demo on http://localhost:8080/fhir
	@.ci/serve

test: ## Run the tests of PKG, all by default; they start a PostgreSQL of their own
	@.ci/setup test
	go test -timeout 30m $(PKG)

check: ## Hold the code against gofmt, vet, staticcheck, unparam, its import order and its budgets
	@.ci/check

torture: ## Torture two servers and their database for 20 minutes; SEED=n does again what was done with that one
	@.ci/setup test
	go test ./conformance -run '^TestTorture$$' -torture.duration 20m -torture.seed $(or $(SEED),0) -timeout 40m -v

race: ## Run the tests of PKG under the race detector (needs a C compiler)
	@.ci/setup test
	go test -race $(PKG)

fuzz: ## Run every fuzz target of PKG for FUZZTIME, 30s by default
	@.ci/fuzz

bench: ## Measure everything at once in RESOURCES resources, 100000 by default, and compare with the run before in .bin
	@.ci/setup
	go build -o .bin/openconsult ./cmd/openconsult
	go build -o .bin/fhirbench ./cmd/fhirbench
	.bin/fhirbench figures -server .bin/openconsult -resources $(RESOURCES) -commit "$$(git describe --always --dirty 2>/dev/null)" \
	  -against .bin/bench-$(RESOURCES).json -o .bin/bench-$(RESOURCES)$(if $(FIGURES),-part).json $(FIGURES)

microbench: ## Run the Go benchmarks of PKG
	@.ci/setup
	go test -run '^$$' -bench . -benchmem $(PKG)

gen: ## Regenerate digest and archive of the FHIR definitions from the folder DEFINITIONS
	go run ./fhir/spec/gen -definitions "$(DEFINITIONS)"

schema: ## Regenerate migrations/schema.sql, the dump of all migrations
	@.ci/setup
	go generate ./migrations

dist: ## Make static binaries for several systems with checksums and what they are made of, in dist
	@.ci/dist
