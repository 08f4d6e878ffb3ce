# make test    everything that must hold, on real servers of its own
# make soak    the long forms of the same
# make bench   one table: Weir beside a hand-written handler and beside gqlgen,
#              with the ledger and without
# make lint    linters and formatting
# make generate   generated code; CI checks that it is up to date

SHELL := bash
GO ?= go
# A test that a slow machine may legitimately need long for still ends.
TEST_TIMEOUT ?= 20m

.PHONY: all build deps test unit race e2e soak bench lint generate

all: build

build:
	CGO_ENABLED=0 $(GO) build -o bin/weir .

# What the tests need beside Go, where it is missing: PostgreSQL and Node
# packages. On systems other than Debian it says what to install.
deps:
	@./.ci/deps

test: deps
	WEIR_REQUIRE_DB=1 ./.ci/with-postgres $(MAKE) --no-print-directory unit race e2e

# The tests of e2e have their own turn. Vet has seen every package with all its
# checks, so that go test need not run some of them once more in each turn.
#
# Without cgo, as the program is built: what the tests compiled serves when the
# tests of e2e build it.
unit e2e: export CGO_ENABLED = 0

unit:
	$(GO) vet ./...
	$(GO) test -vet=off -timeout $(TEST_TIMEOUT) $$($(GO) list ./... | grep -v '/e2e')

# The packages whose code runs side by side, with small fixtures. SQLite itself,
# which is C in Go's clothes, goes without the detector's instrumentation: with it
# it is some thirty times slower and takes minutes to compile. The driver above it
# keeps its own, so that a buffer that two goroutines share is found there. The
# packages left out hold nothing that runs side by side, and no lock.
RACE := -race -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc=-race=false

race:
	WEIR_SMALL=1 $(GO) test -vet=off $(RACE) -timeout $(TEST_TIMEOUT) \
		$$($(GO) list ./authz/... ./graph/... ./resolvers/... ./lineage/... ./internal/... | \
		grep -vE '/(authz/(approval|masks|policytest)|graph/control|lineage/(openlineage|verify)|internal/config)$$')
	$(GO) test -vet=off $(RACE) -timeout $(TEST_TIMEOUT) -run 'TestDecision/readers' ./e2e/attacks

# The real program over real HTTP: graphql-http's audits and the comparison with
# graphql-js. Its parts in one process: non-interference, and its power.
e2e:
	$(GO) test -vet=off -count 1 -v -timeout $(TEST_TIMEOUT) ./e2e/...

soak: deps
	WEIR_REQUIRE_DB=1 WEIR_SOAK=1 ./.ci/with-postgres $(GO) test -timeout 24h -count 1 -v ./lineage/... ./graph/... ./adapters/... ./authz/... ./examples/attackers/... ./e2e/...

bench: deps
	./.ci/with-postgres $(GO) run ./bench $(BENCH_ARGS)

lint:
	cd tools && $(GO) build -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	./bin/golangci-lint run ./...

generate:
	$(GO) generate ./...
