# Two commands matter: `make quickstart` and `make test`. Everything they need goes into .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash

.PHONY: help install quickstart lab test test-slow lint types imports frontend docs bench tensorrt-check chaos clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

install: $(VENV)/.installed ## install everything into .venv (does nothing the second time)

$(VENV)/.installed: pyproject.toml constraints.txt .ci/install
	PYTHON=$(PYTHON) .ci/install
	@touch $@

quickstart: install ## the main job: train, compile and measure a model; prints what came out
	@$(BIN)/python notebooks/quickstart.py

lab: install ## open JupyterLab on the notebooks
	@$(BIN)/jupyter lab --notebook-dir=notebooks

test: install ## the quick checks and tests
	@BIN=$(BIN) .ci/test

test-slow: install ## the tests that take minutes
	@BIN=$(BIN) .ci/test-slow

lint: install ## format and lint
	$(BIN)/ruff format --check . && $(BIN)/ruff check .

types: install ## strict types
	$(BIN)/mypy

imports: install ## who may import whom
	$(BIN)/lint-imports --no-cache

frontend: install ## eslint, prettier, tsc and jest
	@BIN=$(BIN) .ci/frontend

docs: install ## make the generated pages again
	$(BIN)/python docs/generate.py

bench: install ## every benchmark, one after the other; needs the machine for itself
	@for each in benchmarks/[a-z]*.py; do $(BIN)/python $$each $(ARGS) || exit 1; done

clean: ## remove the environment and what was built
	rm -rf $(VENV) dist build quickstart lepton_lab/labextension lepton_lab/widgets/static labextension/lib labextension/node_modules
