# The two commands to know:  make run   and   make test
#
# Needs python3 (3.11 or newer), python3-venv and make; everything else goes into $(VENV).
#   make run                 a TLS service on 127.0.0.1:8443 in front of a small demo page
#   make run CONFIG=my.conf  your own configuration
#   make test                the whole unit suite
# Another interpreter:       make test PYTHON=python3.13 VENV=.venv313

PYTHON ?= python3
VENV ?= .venv
CONFIG ?=
TRIAL_ARGS ?=
BENCH_ARGS ?=
DOCS_OUT ?= docs/_build/html

BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet
# "compat" puts the checkout itself on the path, which is where Twisted looks for plugins.
EDITABLE := --config-settings editable_mode=compat --editable

.DEFAULT_GOAL := help
.PHONY: help environment run test interop lint format types imports docs bench packaging check clean

help:
	@sed -n '1,7s/^# \{0,1\}//p' Makefile
	@echo "Also: make interop | lint | format | types | imports | docs | bench | packaging | check | clean"

# ---------------------------------------------------------------- environment

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "make: $(PYTHON) not found. Install Python 3.11 or newer, or say make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $(PYTHON) is older than 3.11. Say make PYTHON=/path/to/a/newer/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: $(PYTHON) cannot make virtual environments. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "Creating the virtual environment $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.created pyproject.toml setup.py
	@echo "Installing stunnel_tx and what it needs (once)"
	@$(PIP) $(EDITABLE) .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@echo "Installing what the tests need (once)"
	@$(PIP) $(EDITABLE) '.[test]'
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	@echo "Installing the development tools (once)"
	@$(PIP) $(EDITABLE) '.[test,dev]'
	@touch $@

$(VENV)/.docs: $(VENV)/.run
	@echo "Installing what the documentation needs (once)"
	@$(PIP) $(EDITABLE) '.[docs]'
	@touch $@

# Everything at once, for continuous integration.
environment: $(VENV)/.dev $(VENV)/.docs

# ----------------------------------------------------------------- the program

run: $(VENV)/.run
ifeq ($(CONFIG),)
	@exec $(PY) -m stunnel_tx.demo --directory .demo
else
	@exec $(PY) -m stunnel_tx "$(CONFIG)"
endif

# ---------------------------------------------------------------------- checks

test: $(VENV)/.test
	@$(PY) -m twisted.trial $(TRIAL_ARGS) tests

# Talks to real programs (stunnel4, openssl, curl, nginx, redis). STUNNEL_TX_INTEROP=1 makes a
# missing program a failure instead of a skip.
interop: $(VENV)/.test
	@$(PY) -m twisted.trial --temp-directory _trial_temp_interop $(TRIAL_ARGS) tests/interop/interop_*.py

lint: $(VENV)/.dev
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: $(VENV)/.dev
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

types: $(VENV)/.dev
	@$(PY) -m mypy

imports: $(VENV)/.dev
	@$(BIN)/lint-imports

docs: $(VENV)/.docs
	@$(PY) -m sphinx -n -W --keep-going -q -b html docs $(DOCS_OUT)
	@echo "$(DOCS_OUT)/index.html"

bench: $(VENV)/.run
	@$(PY) -m benchmarks $(BENCH_ARGS)

packaging: $(VENV)/.dev
	@$(PY) .ci/packaging.py

check: lint types imports test docs

clean:
	rm -rf $(VENV) .demo build dist stunnel_tx.egg-info docs/_build docs/reference/_generated
	rm -rf _trial_temp* .hypothesis .mypy_cache .ruff_cache .import_linter_cache .tox
	rm -f twisted/plugins/dropin.cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
