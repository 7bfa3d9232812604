PYTHON ?= python3
PIP := .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: train test lint docs fast clean

train: .venv/installed  ## Train on the embedded default: real digits, on this machine
	.venv/bin/python launch.py

test: lint docs  ## Linter, formatter check, type check, the documentation, all tests
	.venv/bin/python -m pytest

lint: .venv/installed-test  ## Linter, formatter check, type check
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

docs: .venv/installed-test  ## The documentation into site/; each of its links must lead somewhere
	.venv/bin/python -m mkdocs build --strict --quiet

fast: .venv/installed-test  ## The tests of a minute or two: all that neither train a network nor run a program
	.venv/bin/python -m pytest -m "not slow"

clean:  ## Remove the environment and the documentation's pages
	rm -rf .venv site

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	touch $@

.venv/installed-test: .venv/installed
	$(PIP) -e .[test]
	touch $@
