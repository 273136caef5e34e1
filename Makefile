# Every command that a developer or CI needs. `make` alone lists them.

CARGO ?= cargo
LOCKED := --locked

.DEFAULT_GOAL := help
SEEDS ?= 20000
.PHONY: help build demo test fmt lint it simulate planted storm bench doc deny schemas docs check kafka-up kafka-down clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{ printf "  %-11s %s\n", $$1, $$2 }'

build: ## build the release binary, target/release/order-sync
	$(CARGO) build --release $(LOCKED)

# Not a release, whose whole-program optimisation takes minutes: it shares what it compiles with `make test`.
demo: ## show the whole thing: broker, worker and sandbox on this machine, in seconds after the build
	$(CARGO) run $(LOCKED) -- demo

# Most of the tests wait for brokers: on two cores three at a time take half of the time that two take; with four some starve.
test: export RUST_TEST_THREADS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -gt 3 ] && echo $$n || echo 3)
test: ## run every test; those with a real Kafka say what they skip (ORDER_SYNC_REQUIRE_KAFKA=1: skipping fails)
	$(CARGO) test $(LOCKED)

it: ## run the integration tests only
	$(CARGO) test $(LOCKED) --test it

simulate: ## look at many made-up worlds: make simulate SEEDS=100000 (docs/testing.md)
	CARGO_PROFILE_DEV_OPT_LEVEL=1 SEEDS=$(SEEDS) $(CARGO) test $(LOCKED) --test simulate -- --nocapture every_

planted: ## plant bugs in a copy of the engine and see each of them found: make planted PLANTS=number_stays (docs/testing.md)
	tests/simulate/planted/run.sh $(PLANTS)

storm: ## three workers on three brokers, killed, stopped and cut off for minutes: SEED=n make storm (docs/testing.md)
	ORDER_SYNC_REQUIRE_KAFKA=1 $(CARGO) test $(LOCKED) --test it -- --ignored --nocapture storm::long_storm

fmt: ## format the sources
	$(CARGO) fmt

lint: ## check the format, clippy without a warning, the house rules
	$(CARGO) fmt --check
	$(CARGO) clippy $(LOCKED) --all-targets -- -D warnings
	$(CARGO) test $(LOCKED) --test tidy --quiet

bench: ## measure everything, some minutes on a quiet machine; figures come with the core count (docs/performance.md)
	$(CARGO) bench $(LOCKED) --bench "*"

doc: ## build the API documentation; a broken link is an error
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(LOCKED) --no-deps --document-private-items

deny: ## check licences, bans and sources of all dependencies (needs cargo-deny)
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny $(LOCKED) check bans licenses sources && \
		{ $(CARGO) deny $(LOCKED) check advisories || echo "make deny: the advisories failed, or their database could not be fetched; see above"; }; \
	else \
		echo "make deny: SKIPPED, cargo-deny is not installed (cargo install cargo-deny --locked)"; \
	fi

schemas: ## write schemas/ anew from the types
	$(CARGO) run --quiet $(LOCKED) -- schema --write schemas

docs: ## write the generated documents anew: docs/metrics.md, docs/configuration.md
	ORDER_SYNC_BLESS=1 $(CARGO) test $(LOCKED) --quiet --lib telemetry::metric
	ORDER_SYNC_BLESS=1 $(CARGO) test $(LOCKED) --quiet --lib config::reference
	ORDER_SYNC_BLESS=1 $(CARGO) test $(LOCKED) --quiet --lib kafka::property_docs

check: ## what CI runs, in the same order
	.ci/run

kafka-up: ## start a real Apache Kafka on free loopback ports and print its address
	tests/kafka/kafka.sh up

kafka-down: ## stop it
	tests/kafka/kafka.sh down

clean: ## remove what was built
	$(CARGO) clean
