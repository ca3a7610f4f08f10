# The two commands: `make demo` and `make test`. Each sets up all it needs in .venv first.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# What a user needs is there; what a developer needs is there as well.
READY := $(VENV)/.ready
DEV := $(VENV)/.dev

.PHONY: help setup system-deps demo test lint types contracts tests docs drawing soak bench counts wheel try-debian lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(READY) ## make the environment in .venv, for .venv/bin/alpaca-focus

$(READY): requirements/setup.txt pyproject.toml tools/make-venv
	@PYTHON="$(PYTHON)" tools/make-venv $(VENV)
	touch $@

$(DEV): $(READY) requirements/dev.txt
	@echo "Installing what the tests and the manual need as well (about 450 MB more)."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	touch $@

system-deps: ## install what the fuller tests need from Debian: chromium, its driver and mosquitto
	@packages="chromium chromium-driver mosquitto"
	if dpkg-query --show --showformat '$${db:Status-Status}\n' $$packages 2>/dev/null | grep -cx installed | grep -qx 3; then
	  exit 0
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	  apt-get update --quiet=2
	  DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends $$packages
	else
	  echo "The fuller tests need $$packages. Install them: sudo apt-get install --no-install-recommends $$packages"
	fi

demo: $(READY) ## focus a simulated telescope through real Alpaca HTTP
	@$(BIN)/alpaca-focus demo

test: lint types contracts docs tests ## lint, types, import contracts, the manual and all tests

lint: $(DEV) ## style and docstrings
	@$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(DEV) ## strict types on the whole package
	@$(BIN)/mypy

contracts: $(DEV) ## who may import whom
	@$(BIN)/lint-imports

tests: $(DEV) ## unit, property, integration and system tests
	@# What Python has compiled once, the many commands of the system tests need not compile again.
	export PYTHONDONTWRITEBYTECODE=
	# The slow ones first, which mostly wait: so three at once are enough for two cores.
	$(BIN)/python -m pytest -n 3 --dist worksteal tests/system tests/integration tests/conformance tests/property tests/unit

docs: $(DEV) ## the manual, into build/manual: every link is checked, and nothing is loaded from elsewhere
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

drawing: $(DEV) ## draw docs/pictures/house.svg anew, from the code
	@$(BIN)/python tools/draw-house

soak: $(DEV) ## the long tests: 100,000 mutations of a FITS file and of an image on the wire, 1,000 kills of a night, 10,000 requests of garbage to the gateway, 1,000 exposures through it, 100 decisions between two of them
	@ALPACA_FOCUS_FUZZ=100000 ALPACA_FOCUS_KILLS=1000 $(BIN)/python -m pytest --timeout 3600 -s tests/property/test_fits_fuzz.py tests/property/test_imagebytes_fuzz.py tests/system/test_killed_nights.py
	@ALPACA_FOCUS_FUZZ=10000 ALPACA_FOCUS_EXPOSURES=1000 ALPACA_FOCUS_DECISIONS=100 $(BIN)/python -m pytest --timeout 7200 -s tests/integration/gateway/test_fuzz.py tests/integration/gateway/test_imaging.py tests/integration/web/test_description.py

bench: $(DEV) ## measure, and write docs/benchmarks.md; ONLY=engine measures one of them
	@$(BIN)/python -m tests.bench $(ONLY)

wheel: $(READY) ## build the wheel into dist/
	@$(BIN)/python -m hatchling build -t wheel

try-debian: $(DEV) ## as root: install the wheel in a clean Debian 12, run the demo and the service there; ARCH=arm64 under qemu
	@tools/try-in-debian $(ARCH)

lock: $(READY) ## write the files in requirements/ anew from the ranges in pyproject.toml
	@$(BIN)/python -m pip install --quiet uv
	compile() { $(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --generate-hashes --no-header "$$@" pyproject.toml; }
	compile --group dev --output-file requirements/dev.txt
	# The same versions, for those who only use it, and for the container.
	compile --constraint requirements/dev.txt --no-annotate --group editable --output-file requirements/setup.txt
	compile --constraint requirements/dev.txt --no-annotate --output-file requirements/run.txt

counts: $(DEV) ## write the number of tests of each kind into tests/README.md
	@$(BIN)/python tools/count-tests

clean: ## remove the environment and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
