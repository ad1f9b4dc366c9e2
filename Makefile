# Everything here sets up what it needs. On a Debian machine: make demo, make test.
SHELL := /bin/bash
# Debian's own Python starts three times as fast as one behind a version manager's shim.
PYTHON ?= $(shell for p in /usr/bin/python3 python3; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
STAMP := $(VENV)/.ready
PYTEST := $(VENV)/bin/python -m pytest
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: api-compared api-inspected demo test lint unit clients interpreters bench compared builds-compared pages dist thorough loader inside recorded setup system images fuzz fuzz-images fuzz-control fuzz-attributes fuzz-dns fuzz-dockerfile fuzz-api pulls runs storm api-storm builds-storm migrations reboot adoption samples bench-inside bench-scale bench-engine bench-builds bench-api bench-snapshots bench-fixtures clean

setup: $(STAMP)

$(STAMP): pyproject.toml | system
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed: apt-get install python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(SUDO) apt-get update -qq; $(SUDO) apt-get install -y -qq python3-venv; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --upgrade 'pip>=25.1'
	$(VENV)/bin/pip install --quiet --editable . --group test --group lint
	@touch $@

# What the runtime and its tests use of the system; installed only where something is missing.
system:
	@missing=""; \
	command -v nft >/dev/null || missing="$$missing nftables"; \
	command -v ip >/dev/null || missing="$$missing iproute2"; \
	command -v mmdebstrap >/dev/null || missing="$$missing mmdebstrap"; \
	command -v docker-registry >/dev/null || missing="$$missing docker-registry"; \
	for tool in openssl zstd strace; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	command -v curl >/dev/null || missing="$$missing curl"; \
	command -v busybox >/dev/null || missing="$$missing busybox-static"; \
	command -v mkfs.btrfs >/dev/null || missing="$$missing btrfs-progs"; \
	ldconfig -p | grep -q libnftables.so.1 || missing="$$missing libnftables1"; \
	ldconfig -p | grep -q libseccomp.so.2 || missing="$$missing libseccomp2"; \
	[ -z "$$missing" ] || { $(SUDO) apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null; }

# BASE=IMAGE: the base of the examples' images, if not the one that examples/base.sh finds.
AS_ROOT = $(SUDO) env PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(if $(BASE),BASE="$(BASE)")

demo: setup
	$(AS_ROOT) examples/demo.sh

# The images of the examples, built: then "composer up" in their directories starts at once.
images: setup
	$(AS_ROOT) examples/images.sh

# What sudo lets the tests see.
KEPT := PATH,DOCKER_HOST,DOCKER_CONFIG,COMPOSER_TEST_DOCKER,COMPOSER_TESTS_MUST_RUN,COMPOSER_TEST_IMAGES,COMPOSE_CORPUS

# All of them, or those that TESTS names; SEED repeats an order.
test: setup
	$(SUDO) $(if $(SUDO),--preserve-env=$(KEPT)) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.everything $(if $(filter-out 0,$(SEED)),--seed $(SEED)) $(TESTS)

unit: setup
	$(PYTEST) -q tests/unit

# Programs of others that run docker compose, run with composer: testcontainers, pytest-docker, the dev-container CLI. They are
# in an environment of their own; those on the engine at DOCKER_HOST need the docker command as well.
CLIENTS := .venv-clients
DEVCONTAINERS := @devcontainers/cli@0.89.0
TESTCONTAINERS := testcontainers@11.14.0
clients: $(CLIENTS)/.ready
	$(SUDO) $(if $(SUDO),--preserve-env=$(KEPT)) env -u PYTHONDONTWRITEBYTECODE $(PYTEST) -q -m clients tests/clients

$(CLIENTS)/.ready: pyproject.toml | setup
	@command -v npm >/dev/null || { $(SUDO) apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null; }
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/pip install --quiet --upgrade 'pip>=25.1'
	$(CLIENTS)/bin/pip install --quiet --group clients
	npm install --silent --no-fund --no-audit --prefix $(CLIENTS) $(DEVCONTAINERS) $(TESTCONTAINERS)
	@touch $@

# The unit tests on every other Python from 3.11 on that this machine has.
interpreters: setup
	env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.interpreters $(INTERPRETERS)

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/codespell

bench: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.bench.run
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.bench.commands
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.bench.starts
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.bench.many

# Situations played with docker compose and with composer, into docs/compared.md: needs docker compose and an engine.
compared: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.compared.run

# All cases of the loader beside docker compose, and all damages of records: make test takes a part of them, others each day.
thorough: setup
	$(SUDO) $(if $(SUDO),--preserve-env=$(KEPT)) env -u PYTHONDONTWRITEBYTECODE COMPOSER_ORACLE_EVERY=1 COMPOSER_DAMAGES=100000 \
		$(VENV)/bin/python -m tests.everything tests/oracle tests/integration/namespace/test_damage.py

# The loader compared with compose-go and docker compose (COMPOSE_CORPUS: more directories of cases, separated by :;
# COMPOSE=DIRECTORY: a configuration of Docker's with another docker compose), into docs/loading.md.
loader: setup
	@command -v go >/dev/null || { $(SUDO) apt-get update -qq; $(SUDO) apt-get install -y -qq golang-go >/dev/null; }
	$(VENV)/bin/python -m tests.compared.loader.compare --write $(addprefix --compose ,$(COMPOSE))

# Command lines beside the docker compose of this machine (COMPOSE=DIRECTORY: as above), and beside those of v5.5 that
# COMPOSE_CORPUS has, into docs/compared.md: needs an engine at DOCKER_HOST.
recorded: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE COMPOSE_CORPUS="$(COMPOSE_CORPUS)" $(VENV)/bin/python -m tests.compared.recorded --write $(addprefix --compose ,$(COMPOSE))

# Dockerfiles built by composer and by BuildKit, into docs/compared.md: needs an engine at DOCKER_HOST with buildx.
# DOCKERFILES=DIRECTORY: those of others, each with its own directory as its context.
builds-compared: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.compared.builds $(if $(DOCKERFILES),$(DOCKERFILES),--write)
	$(if $(DOCKERFILES),,$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(PYTEST) -q -m beside tests/integration/build tests/integration/docker/test_dockerfile_checks.py)

# The pages that are made from the code: commands, manual pages, attributes, documents. Tests say when they are old.
pages: setup
	$(VENV)/bin/python -m tests.unit.test_commands_page
	$(VENV)/bin/python -m tests.unit.test_man_pages
	$(VENV)/bin/python -m tests.unit.test_attributes_table
	$(VENV)/bin/python -m tests.unit.documents.test_documents_page
	$(VENV)/bin/python -m tests.unit.api.test_api_page

# What a release consists of, in dist/: the sdist, the wheel, and one file for any CPython from 3.11 to 3.13; tried in bare
# environments, with every PYTHONS.
PYTHONS ?= $(PYTHON)
dist: setup
	$(VENV)/bin/pip install --quiet --group dist
	$(VENV)/bin/python release/dist.py
	$(SUDO) $(VENV)/bin/python release/check.py dist $(PYTHONS)

# Services compared from within on both backends, into docs/compared.md: needs an engine at DOCKER_HOST.
inside: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.compared.inside.compare

# Projects of others (COMPOSE_ADOPTION: directories of projects, separated by :) taken over in both directions.
adoption: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE COMPOSE_ADOPTION="$(COMPOSE_ADOPTION)" $(PYTEST) -q tests/integration/docker/test_corpus.py

# Samples of others, COMPOSE_SAMPLES: a directory with a project in each folder, into docs/samples.md.
samples: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.samples.run $(COMPOSE_SAMPLES) --write


# composer on Docker Engine beside docker compose: needs an engine at DOCKER_HOST. BEFORE=DIRECTORY: a checkout to compare with.
bench-engine: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.bench.engine $(if $(BEFORE),--before $(BEFORE))

# A hundred restores of PostgreSQL with 1 GB under load, each checked, and forks. RESTORES, FREEZE=1.
bench-snapshots: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.bench.snapshots $(if $(RESTORES),--restores $(RESTORES)) $(if $(FREEZE),--freeze)

# Tests with stacks beside pytest-docker, docker compose and testcontainers: needs an engine at DOCKER_HOST. OPTIONS.
bench-fixtures: $(CLIENTS)/.ready
	$(SUDO) $(if $(SUDO),--preserve-env=$(KEPT)) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.bench.fixtures $(OPTIONS)

# Builds beside docker buildx build: needs an engine at DOCKER_HOST.
bench-builds: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.bench.builds

# The REST API beside Docker Engine, and ten minutes of load on it: needs docker and an engine at DOCKER_HOST.
bench-api: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.bench.api --write

bench-scale: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.bench.scale

# Eight processes that pull overlapping images, killed at random: fifty rounds, some minutes.
pulls: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE COMPOSER_PULL_ROUNDS=50 $(PYTEST) -q tests/integration/namespace/test_registry_crashes.py

# 300 rounds of `run` of short commands on a busy machine, on both backends (an engine at COMPOSER_TEST_DOCKER).
runs: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE COMPOSER_RUN_ROUNDS=300 $(PYTEST) -q --timeout 3600 tests/e2e/test_short_runs.py

# Kills at random moments over everything: make storm ROUNDS=300 SEED=7
ROUNDS ?= 300
SEED ?= 0
storm: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE COMPOSER_STORM_ROUNDS=$(ROUNDS) COMPOSER_STORM_SEED=$(SEED) \
	  $(PYTEST) -q -s tests/integration/namespace/test_storm.py

# Kills of the REST API's server in the middle of requests: make api-storm ROUNDS=100 SEED=7
api-storm: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE COMPOSER_STORM_ROUNDS=$(ROUNDS) COMPOSER_STORM_SEED=$(SEED) \
	  $(VENV)/bin/python -m tests.apart $(PYTEST) -q -s tests/integration/api/test_storm.py

# The same over eight builds at once that share steps: make builds-storm ROUNDS=100 SEED=7
builds-storm: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE COMPOSER_STORM_ROUNDS=$(ROUNDS) COMPOSER_STORM_SEED=$(SEED) \
	  $(PYTEST) -q -s tests/integration/namespace/building/test_storm.py

# A PostgreSQL of 1 GB that migrates between the backends and back, killed ten times each way: needs an engine at
# DOCKER_HOST, and mmdebstrap. make migrations SEED=7
migrations: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.moving.run --seed $(SEED)

# A Debian under qemu that reboots: DIR=… keeps what it is made of. Installs qemu and mmdebstrap where they are missing.
reboot: setup
	$(SUDO) $(VENV)/bin/python -m tests.reboot.run $(DIR)

# Coverage-guided, of the loader: make fuzz SECONDS=300
SECONDS ?= 60
fuzz: setup
	$(VENV)/bin/pip install --quiet --group fuzz
	nice -n 19 $(VENV)/bin/python -m tests.fuzz.loader $(SECONDS)

# The same of image configurations and archives; as root, for layers are unpacked. CORPUS=DIRECTORY is gone on from.
fuzz-images: setup
	$(VENV)/bin/pip install --quiet --group fuzz
	$(SUDO) nice -n 19 $(VENV)/bin/python -m tests.fuzz.images $(SECONDS) $(CORPUS)

# The same of the control socket; CORPUS=… keeps the corpus and goes on from it.
fuzz-control: setup
	$(VENV)/bin/pip install --quiet --group fuzz
	nice -n 19 $(VENV)/bin/python -m tests.fuzz.control $(SECONDS) $(CORPUS)

# The same of Dockerfiles: reading, stages, checks, words.
fuzz-dockerfile: setup
	$(VENV)/bin/pip install --quiet --group fuzz
	nice -n 19 $(VENV)/bin/python -m tests.fuzz.dockerfile $(SECONDS) $(CORPUS)

# Hostile clients of `composer serve`, from outside: make fuzz-api SECONDS=1200 SEED=7
fuzz-api: setup
	$(SUDO) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.apart \
	  $(VENV)/bin/python -m tests.fuzz.api $(SECONDS) $(SEED) $(CORPUS)

# Values of attributes on their way to a backend, as root; packets of a container to the name server.
fuzz-attributes fuzz-dns: setup
	$(VENV)/bin/pip install --quiet --group fuzz
	$(SUDO) nice -n 19 $(VENV)/bin/python -m tests.fuzz.$(@:fuzz-%=%) $(SECONDS) $(CORPUS)

clean:
	rm -rf --one-file-system $(VENV) $(VENV)-3.* $(CLIENTS) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build

# What Docker Engine at DOCKER_HOST and composer serve say of the same 159 containers, value by value.
api-inspected: setup
	$(AS_ROOT) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.compared.api.inspected

# The same requests to Docker Engine at DOCKER_HOST and to composer serve: which answers differ, and why.
api-compared: setup
	$(AS_ROOT) env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m tests.compared.api.run
