# Every target does its own set-up; a second run is quick.
PYTHON ?= python3
BIN := .venv/bin
# What the tests that get along with each other are spread over.
CORES ?= logical
.DEFAULT_GOAL := help
.PHONY: help run serve test test-fast mutants setup lint diagram screenshots bench constraints

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 12

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ramz needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

.venv/.runs: requirements.txt constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	@touch $@

.venv/.tests: tests/requirements.txt requirements.txt constraints.txt | .venv/.runs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt -c constraints.txt
	@touch $@

setup: .venv/.runs .venv/.tests ## .venv with all packages, run-time and test

run: .venv/.runs ## try it: made-up people, the simulated carrier, no text leaves this machine
	@$(BIN)/flask trial

serve: .venv/.runs ## the bot for real, with settings from the environment
	@exec $(BIN)/flask serve

lint: .venv/.runs .venv/.tests ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

test: lint ## every check and test
	$(BIN)/pytest -m "not alone" -n $(CORES) --maxprocesses 8 --dist worksteal --durations=20
	$(BIN)/pytest -m alone --durations=20 $$(grep -rlE "mark\.alone" tests --include="test_*.py")

test-fast: .venv/.runs .venv/.tests ## for every save: SQLite, no process started, nothing slow
	$(BIN)/pytest --fast -n $(CORES) --maxprocesses 8 --dist worksteal

mutants: .venv/.runs .venv/.tests ## break the lines that matter, one by one: a test must notice each
	$(BIN)/python -m tests.mutants

constraints: setup ## rewrites constraints.txt from what is installed
	@{ head -n 1 constraints.txt; $(BIN)/pip freeze | grep -ivE "^($$(sed -nE 's/^([A-Za-z0-9_.-]+).*/\1/p' requirements.txt tests/requirements.txt | sed 's/[-_.]/[-_.]/g' | paste -sd '|'))==" ; } > constraints.new
	@mv constraints.new constraints.txt

diagram: .venv/.runs ## redraw the dialog in README.md from its table
	@$(BIN)/flask diagram

screenshots: .venv/.runs .venv/.tests ## every page as it looks, into instance/screenshots/; renews README's two
	@$(BIN)/python -W ignore -m tests.screenshots

bench: .venv/.runs .venv/.tests ## benchmarks, each as a ratio to a floor of the same run; BENCH_LONG=1 for a million accounts, and a season's figures
	@$(BIN)/python -m tests.bench
	@test -z "$(BENCH_LONG)" || $(BIN)/python -m tests.bench.season
