# Every target does its own set-up; a second run is quick.
PYTHON ?= python3
BIN := .venv/bin
# What the tests that work are spread over, with one more beside others, since each waits for its database now and then.
# Those that wait, most of the time, for processes run beside them.
CORES ?= logical
WORKING ?= $$(($$(getconf _NPROCESSORS_ONLN) + 1))
WAITING ?= 3
.DEFAULT_GOAL := help
# Or each of the processes that tests start compiles every module anew, which is half of its start.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help run serve test test-work test-wait test-alone test-paced test-fast soak mutants install setup lint style \
	types diagram screenshots \
	bench constraints licences sbom audit
# The files in which tests have a mark; those of whole services first, which take the longest.
marked = $$(grep -rlE "mark\.$(1)" tests --include="test_*.py" | sort -r)

# On a busy machine a test of many processes may be late: what fails is tried once more, alone, and both are printed.
# Those within one process have clocks that are handed in, and no second try.
kept = -o cache_dir=.pytest_cache/$(1)
again = --lf --lfnf=none $(call kept,$(1))

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 12

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ramz needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

.venv/.runs: requirements.txt constraints.txt | .venv/bin/python
	@echo "Installing what the bot runs on, this once: it takes a minute or two, and longer on a slow line." >&2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	@touch $@

.venv/.tests: tests/constraints.txt | .venv/.runs
	@echo "Installing what the tests need besides, this once." >&2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/constraints.txt
	@touch $@

install: .venv/.runs ## .venv with what the bot runs on, and no more

setup: .venv/.runs .venv/.tests ## .venv with all packages, run-time and test

run: .venv/.runs ## try it: made-up people, the simulated carrier, no text leaves this machine
	@$(BIN)/flask trial

serve: .venv/.runs ## the bot for real, with settings from the environment
	@exec $(BIN)/flask serve

lint: style types ## ruff and mypy

style: .venv/.runs .venv/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.runs .venv/.tests
	$(BIN)/mypy .

# Types are checked while the first tests wait; what keeps to a rate is beside what measures, which it leaves alone.
test: style ## every check and test
	@$(MAKE) --no-print-directory -j 3 types test-work test-wait
	@$(MAKE) --no-print-directory -j 2 test-alone test-paced

test-work:
	$(BIN)/pytest -m "not alone and not paced and not process" -n $(WORKING) --maxprocesses 9 --dist worksteal \
		--durations=20 $(call kept,work)

test-wait:
	$(BIN)/pytest -m "process and not alone and not paced" -n $(WAITING) --dist worksteal --durations=20 \
		$(call kept,wait) $(call marked,process) || \
	$(BIN)/pytest $(call again,wait)

test-alone:
	$(BIN)/pytest -m alone --durations=20 $(call kept,alone) $(call marked,alone) || \
	$(BIN)/pytest $(call again,alone)

test-paced:
	$(BIN)/pytest -m paced --durations=20 $(call kept,paced) $(call marked,paced) || \
	$(BIN)/pytest $(call again,paced)

test-fast: .venv/.runs .venv/.tests ## for every save: SQLite, no process started, nothing slow
	$(BIN)/pytest --fast -n $(CORES) --maxprocesses 8 --dist worksteal

soak: .venv/.runs .venv/.tests ## the long fault test; its seed comes first, and SEED=… repeats it; MINUTES=5
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED))

mutants: .venv/.runs .venv/.tests ## break the lines that matter, one by one: a test must notice each
	$(BIN)/python -m tests.mutants

.tools/.there: .ci/tools.txt | .venv/bin/python
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check -r .ci/tools.txt
	@touch $@

# Of the registry that pip is set up with; the pins that are there stay, unless what asks for them has changed.
constraints: .tools/.there ## rewrites both constraints.txt, every package pinned with its hashes; UPGRADE=1 takes the newest
	@index="$${PIP_INDEX_URL:-$$(.tools/bin/python -m pip config get global.index-url 2>/dev/null)}"; \
	for each in . tests; do \
		asked="$$each/requirements.txt"; test "$$each" = . || asked="requirements.txt $$asked"; \
		.tools/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
			$${index:+--default-index "$$index"} $(if $(UPGRADE),--upgrade) \
			--custom-compile-command "make constraints" $$asked --output-file $$each/constraints.txt || exit 1; \
	done

licences: .venv/.runs .tools/.there ## what the bot runs on, and under which licence
	@.tools/bin/pip-licenses --python=$(BIN)/python --from=mixed --order=license --with-urls \
		--packages $$(sed -nE 's/^([A-Za-z0-9_.-]+)==.*/\1/p' constraints.txt)

sbom: .tools/.there ## the same as an SBOM (CycloneDX, JSON), with the hashes of every file
	@.tools/bin/cyclonedx-py requirements --output-format JSON constraints.txt

audit: .tools/.there ## what is known against it, where an index of vulnerabilities answers; never fails
	@.tools/bin/python .ci/audit.py .tools/bin/pip-audit constraints.txt

diagram: .venv/.runs ## redraw the dialog in README.md from its table
	@$(BIN)/flask diagram

screenshots: .venv/.runs .venv/.tests ## every page as it looks, into instance/screenshots/; renews README's two
	@$(BIN)/python -W ignore -m tests.screenshots

bench: .venv/.runs .venv/.tests ## benchmarks, each as a ratio to a floor of the same run; BENCH_LONG=1 for a million accounts, and a season's figures
	@$(BIN)/python -m tests.bench
	@test -z "$(BENCH_LONG)" || $(BIN)/python -m tests.bench.season
