# Two commands matter: `make run` shows a desktop in the browser, `make test` tests everything.
# Both install what they need first (deploy/packages.list), and download nothing if it is there.

.PHONY: help run images test test-all bench packages-for-tests

help:
	@echo 'make run        build Lattice, serve desktops, print a URL that shows one; Ctrl-C ends it all'
	@echo '                (ARGS="--listen 127.0.0.1:9000" are options of lattice serve)'
	@echo 'make images     build the container images that every desktop needs, with Docker'
	@echo '                (APPS="chromium vscode-golang vscode-node-vue" or APPS=all: those of programs, too;'
	@echo '                LOCK=strict refuses packages that are not as packages.lock says, LOCK=update'
	@echo '                takes the newest; BINARIES=DIR has lattice and lattice-agent; VERBOSE=1 tells all)'
	@echo 'make test       install what tests need, run all suites (about an hour)'
	@echo 'make test-all   the same, and what takes long: soaks, fuzzing, licences'
	@echo 'make bench      measure latency, CPU, bytes and memory on this machine'

run:
	@deploy/run $(ARGS)

images:
	@LOCK='$(LOCK)' BINARIES='$(BINARIES)' VERBOSE='$(VERBOSE)' deploy/images $(APPS)

test: packages-for-tests
	@deploy/with-cargo run --profile checked --package xtask -- test

test-all: packages-for-tests
	@LATTICE_TEST_LONG=1 deploy/with-cargo run --profile checked --package xtask -- test

bench: packages-for-tests
	@deploy/with-cargo build --release --locked
	@deploy/with-cargo run --release --package xtask -- bench

packages-for-tests:
	@deploy/install-packages run test
	@deploy/install-packages containers || echo 'Without them, tests that need containers are left out.'
