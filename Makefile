# `make demo` and `make test` do all their own set-up: they need only Python (3.10 or newer) and make.
# The packages go into .venv; a stamp file there says which set is installed, so that a second run starts at once.
#   make demo    train on the built-in corpus and leave demo/demo.mid, .wav and .png
#   make test    ruff, mypy --strict, then every test and doctest; fails when nothing was tested
#   make lint    ruff and mypy alone         make bench [NAME="..."]   the benchmarks
#   make docs    the API reference, in build/docs; a warning is an error
#   make model-pages [RUNS=FOLDER]    docs/models, a page a model, from run folders; missing ones are trained (an hour)
#   make mutation [MUTANTS=N]    change the engine N times and see whether a test notices (all: MUTANTS=all)
#   make kernel-mutation          change bounds, indices and strides of kernels and see whether their cards notice
#   make clean   remove what the above left

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
METADATA := setup.cfg pyproject.toml
PYTHONS := $(PYTHON) python3 python3.13 python3.12 python3.11 python3.10
NAME ?=
MUTANTS ?= 500
RUNS ?= build/runs

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench docs model-pages mutation kernel-mutation clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.run
	@$(BIN)/tinydl demo --out demo

lint: $(VENV)/.dev
	@$(BIN)/ruff check --quiet --output-format=concise .
	@$(BIN)/mypy --no-error-summary

test: lint
	@$(BIN)/python -m pytest -q -n auto --dist worksteal $(PYTEST_ARGS)

bench: $(VENV)/.dev
	@$(BIN)/python -m tinydl.benchmarks $(NAME)

docs: $(VENV)/.docs
	@rm -rf build/docs
	@$(BIN)/python -W error docs/reference.py build/docs
	@echo "build/docs/index.html"

model-pages: $(VENV)/.run
	@mkdir -p $(RUNS)
	@$(BIN)/python docs/model_pages.py $(RUNS)

# Without PyTorch the differential tests kill nothing; results are kept in build/mutation, so that it can be interrupted.
mutation: $(VENV)/.dev
	@$(BIN)/python -m tests.mutation $(if $(filter all,$(MUTANTS)),,--sample $(MUTANTS))

kernel-mutation: $(VENV)/.dev
	@$(BIN)/python -W ignore -m tests.mutation.kernels

clean:
	rm -rf $(VENV) build dist demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# --- set-up ---------------------------------------------------------------------------------------------------

# One line says what is missing. A .venv that works is kept; otherwise the first suitable interpreter makes one.
$(VENV)/.made:
	@if $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then touch $@; exit 0; fi; \
	found=; old=; \
	for p in $(PYTHONS); do \
	    if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then found=$$p; break; fi; \
	    if "$$p" -c '' 2>/dev/null; then old=" ($$($$p --version 2>&1) is too old)"; fi; \
	done; \
	fail() { echo "tinydl needs $$1" >&2; exit 1; }; \
	[ -n "$$found" ] || fail "Python 3.10 or newer and found none$$old: install it, or say make PYTHON=/path/to/python3"; \
	"$$found" -c 'import venv, ensurepip' 2>/dev/null || fail "the venv module of Python, which $$found lacks: install it (Debian and Ubuntu: apt install python3-venv)"; \
	echo "making $(VENV) with $$($$found --version)" >&2; \
	rm -rf $(VENV) && "$$found" -m venv $(VENV) >/dev/null || fail "a folder it can write to: $(VENV) could not be made"; \
	touch $@

# $(call install,WHAT) installs quietly; pip's own output is kept for the day that it fails.
define install
	@echo "installing $(1) into $(VENV) (once; this takes a minute or two)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -e '$(1)' >$(VENV)/pip.log 2>&1 \
	    || { echo "pip could not install the packages (is there a network?): $$(sed -n "s/^ *ERROR: *//p" $(VENV)/pip.log | tail -n 1) [all of it: $(VENV)/pip.log]" >&2; exit 1; }
	@touch $@
endef

# The stamps hang on .made by order alone: remaking .venv removes them with it.
$(VENV)/.run: $(METADATA) | $(VENV)/.made
	$(call install,.)

$(VENV)/.dev: $(METADATA) | $(VENV)/.made
	$(call install,.[dev])
	@touch $(VENV)/.run

$(VENV)/.docs: $(METADATA) | $(VENV)/.made
	$(call install,.[docs])
	@touch $(VENV)/.run
