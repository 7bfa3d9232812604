PYTHON ?= python3
PIP := .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: train test clean

train: .venv/installed  ## Train on the embedded default: real digits, on this machine
	.venv/bin/python launch.py

test: .venv/installed-test  ## Linter, formatter check, type check, tests
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/python -m pytest

clean:  ## Remove the environment
	rm -rf .venv

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	touch $@

.venv/installed-test: .venv/installed
	$(PIP) -e .[test]
	touch $@
