# Two commands for a fresh machine with Rust, Python 3, make and a C++ compiler:
#   make quickstart   sets everything up and runs the main job on the embedded dataset
#   make test         sets everything up and tests
# Both may be run again at any time; what is done already is not done again.

CARGO ?= cargo
# Where `make quickstart` leaves its database, artefacts and report.
QUICKSTART ?= quickstart

.PHONY: help setup build quickstart test lint clean

help:
	@sed -n 's/^#   //p' Makefile

setup:
	@scripts/setup

build: setup
	@echo "build: compiling the programs into target/release (minutes at first, seconds later)"
	@$(CARGO) build --release --locked

quickstart: build
	@mkdir -p $(QUICKSTART)
	target/release/advrec doctor --db $(QUICKSTART)/advrec.db --store $(QUICKSTART)/store
	target/release/advrec sweep experiments/quickstart.yaml --db $(QUICKSTART)/advrec.db --store $(QUICKSTART)/store
	target/release/advrec report --db $(QUICKSTART)/advrec.db --out $(QUICKSTART)/report.md --page $(QUICKSTART)/report.html

test: build
	@echo "test: running all tests (those on the real data are skipped where ../shared/data is absent)"
	@$(CARGO) test --release --locked

# What CI checks beside the tests. cargo-deny is needed: cargo install cargo-deny --locked
lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --no-deps --document-private-items --locked
	$(CARGO) deny --all-features check

clean:
	rm -rf target $(QUICKSTART)
