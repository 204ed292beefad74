# The one entrance: `make` lists what there is. Every target sets itself up in .venv; the machine needs Python >= 3.11
# with pip, and make. PYTHON=... chooses another interpreter than the newest on PATH, ARGS=... goes to pytest
# (IN_PARALLEL= runs the tests in one process).
PYTHON = $(shell scripts/pythons)
BIN = .venv/bin
INSTALL = -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
IN_PARALLEL = --numprocesses 2
VERSIONS = pyproject.toml constraints.txt

.DEFAULT_GOAL = help
.PHONY: help demo test slow faults check bench bench-tables all-pythons clean .venvs/swift .venvs/ferretdb .venvs/peers
.DELETE_ON_ERROR:

help:  ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: .venv/.demo .venvs/swift  ## a million rows to stdout, HTTP and S3, and proof that nothing stays behind
	@$(BIN)/python demo/run.py

# The tests of the leak detector look through the heap again and again. They have a run of their own, where it is small: with
# the modules of all other tests in it, those of its proof alone take 185 seconds of a CPU instead of 55.
test: .venv/.dev .venvs/swift .venvs/ferretdb  ## all tests but the slow ones, against real servers
ifeq ($(strip $(ARGS)),)
	@status=0; \
	$(BIN)/python -m pytest -q $(IN_PARALLEL) tests/leaks || status=$$?; \
	$(BIN)/python -m pytest -q $(IN_PARALLEL) --ignore tests/leaks || status=$$?; \
	exit $$status
else
	@$(BIN)/python -m pytest -q $(IN_PARALLEL) $(ARGS)
endif

slow: .venv/.dev .venvs/swift .venvs/ferretdb  ## the slow tests
	@$(BIN)/python -m pytest -q -m slow $(IN_PARALLEL) $(ARGS)

faults: .venv/.dev .venvs/swift .venvs/ferretdb  ## every source, every sink, every fault
	@$(BIN)/python -m pytest -q -m "" $(IN_PARALLEL) tests/faults $(ARGS)

check: .venv/.dev  ## style, types, layers
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --strict
	@$(BIN)/lint-imports --no-logo

bench: .venv/.bench  ## how fast, next to what Python (and Go, where found) has
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench.findings

bench-tables: .venv/.dev .venvs/peers .venvs/swift  ## whole tables: rows/s and memory beside psql, ADBC, apitap, dlt, sling, ...
	@$(BIN)/python -m bench.tables
	@$(BIN)/python -m bench.faults

all-pythons:  ## tests of the core, and the leak corpora, with every CPython >= 3.11 on PATH and in pyenv
	@scripts/test-pythons

clean:  ## remove what was built and measured; keep the virtual environments
	rm -rf build dist demo-data bench/results .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

# --- virtual environments: a stamp for each purpose, older than what it depends on when it is to be refreshed --------

$(BIN)/python:
	@scripts/make-venv $(PYTHON) .venv

.venv/.demo: $(VERSIONS) | $(BIN)/python
	@$(BIN)/python $(INSTALL) --editable '.[cli,http,s3]'
	@touch $@

.venv/.dev: $(VERSIONS) | $(BIN)/python
	@$(BIN)/python $(INSTALL) --group dev --editable '.[cli,duckdb,http,mongo,mysql,parquet,postgres,s3,sqlite]'
	@touch $@

.venv/.bench: $(VERSIONS) | $(BIN)/python
	@$(BIN)/python $(INSTALL) --group bench --editable .
	@touch $@

# Programs that Penstock is measured beside, away from what it needs itself.
.venvs/peers: .venvs/peers/.stamp
.venvs/peers/.stamp: pyproject.toml
	@scripts/make-venv $(PYTHON) .venvs/peers
	@.venvs/peers/bin/python -m pip --disable-pip-version-check install --quiet --group peers
	@touch $@

# The MongoDB server of the tests. Without Go to build it with, or if that fails, its tests say what is missing.
.venvs/ferretdb:
	@scripts/build-ferretdb || true

# The S3 server of tests and demo. One of its own, because eventlet replaces half the standard library.
.venvs/swift: .venvs/swift/.stamp
.venvs/swift/.stamp: $(VERSIONS)
	@scripts/make-venv $(PYTHON) .venvs/swift
	@.venvs/swift/bin/python $(INSTALL) --group swift
	@touch $@
