# Everything runs from .venv/, which `make setup` builds from locks/dev.txt. Needs Python 3.11 or newer and make.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
# Half of what the tests do is wait, so there are more of them at a time than cores.
TEST_WORKERS ?= 4
# Where it is set, as in many containers, each process that a test starts would compile the gateway anew.
unexport PYTHONDONTWRITEBYTECODE
BIN := $(VENV)/bin
STAMP := $(VENV)/.locked

.PHONY: help setup run test test-clients test-negative check bench bench-cache bench-router demo chaos soak
DATA ?= ../shared/data

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1	/'

$(STAMP): locks/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("turnout needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; set PYTHON=/path/to/python3.11" if sys.version_info < (3, 11) else 0)'
	@echo "setting up $(VENV) (about a minute the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r locks/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(STAMP)  ## make .venv with all that running, testing and measuring need

run: setup  ## serve on 127.0.0.1:8080 with policies/default.yaml
	@exec $(BIN)/turnout serve

test: setup  ## run the tests
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

test-clients: setup  ## run the tests with real clients of Python and Node (environments of their own)
	@$(BIN)/python -m tools.client_checks

test-negative: setup  ## send public collections of hostile input to every endpoint (DATA=directory)
	@TURNOUT_NEGATIVE_DATA=$(abspath $(DATA))/negative $(BIN)/python -m pytest -q tests/bad_input/test_corpora.py

check: setup  ## lint, types, import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_import_rules.py

bench: setup  ## measure what gateways cost, ours beside others (QUICK=1, CONTENDERS=name,name)
	@$(BIN)/python -m benchmarks.gateways $(if $(QUICK),--quick) $(if $(CONTENDERS),--contenders $(CONTENDERS))

bench-cache: setup  ## measure the cache's stores, in memory and in Redis, at up to 100,000 answers (ENTRIES="1000 10000")
	@$(BIN)/python -m benchmarks.cache $(if $(ENTRIES),--entries $(ENTRIES))

bench-router: setup  ## measure the router's quality on public sets (DATA=directory) and the cost of a decision
	@$(BIN)/python -m benchmarks.router --data $(DATA)

chaos: setup  ## play outages, latency spikes, long tails and drips to the gateway, beside LiteLLM's Router (OUT=directory)
	@$(BIN)/python -m benchmarks.chaos $(if $(OUT),--out $(OUT))

soak: setup  ## watch memory and open files under mixed traffic for half an hour (SOAK=seconds)
	@$(BIN)/python -m benchmarks.soak $(if $(SOAK),--seconds $(SOAK))

demo: setup  ## send a few hundred prompts through a running gateway and show what they cost
	@$(BIN)/python -m benchmarks.demo
