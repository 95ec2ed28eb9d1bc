# make demo | test | lint | docs: each makes .venv first if it is not there.
# Another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Processes for the tests; each computes on one thread.
WORKERS ?= 2

export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint docs clean

# The demo works on all cores, so it does not take the one thread of the tests.
demo: $(STAMP)
	env -u OMP_NUM_THREADS $(BIN)/tamis demo

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/python -m pip install --quiet -e '.[docs]' -c constraints.txt
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) site runs demo build dist

# An environment that works is kept: only a change of what it must hold installs again.
$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    || { echo "Tamis needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }; \
	  $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet -e '.[lab,dev]' -c constraints.txt
	@touch $@
