# Two commands matter: `make run` shows a desktop in the browser, `make test` tests everything.
# Both install what they need first (deploy/packages.list), and download nothing if it is there.

.PHONY: help run test test-all bench packages-for-tests

help:
	@echo 'make run        build Lattice, serve desktops, print a URL that shows one; Ctrl-C ends it all'
	@echo '                (ARGS="--listen 127.0.0.1:9000" are options of lattice serve)'
	@echo 'make test       install what tests need, run all suites (at most 30 minutes)'
	@echo 'make test-all   the same, and what takes long: soaks, fuzzing, licences'
	@echo 'make bench      measure latency, CPU, bytes and memory on this machine'

run:
	@deploy/run $(ARGS)

test: packages-for-tests
	@deploy/with-cargo run --profile checked --package xtask -- test

test-all: packages-for-tests
	@LATTICE_TEST_LONG=1 deploy/with-cargo run --profile checked --package xtask -- test

bench: packages-for-tests
	@deploy/with-cargo build --release --locked
	@deploy/with-cargo run --release --package xtask -- bench

packages-for-tests:
	@deploy/install-packages run test
