# Everything a new user needs: `make demo` runs the main job, `make test` passes the tests.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
READY := $(VENV)/.ready
# Many tests wait for a server, so there are more workers than two cores; files of few tests are often long, and do not come last.
PYTEST := pytest -n 3 --dist loadfile --no-loadscope-reorder

# Reports, tests and collectors start many processes: compiled once, each starts in a second instead of ten.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test coverage drill lint lab bench report dashboards-preview servers lock clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## run the main job on simulated data (DATA=folder: on real traces) and print where the report is
	$(RUN)/gaugebook demo $(if $(DATA),--data $(DATA))

test: ## install what the tests need and run them all
	$(MAKE) --no-print-directory -j 2 $(READY) servers # one waits for the network while the other builds
	$(MAKE) --no-print-directory lint
	$(RUN)/$(PYTEST)

coverage: $(READY) servers ## the tests once more, slower, and which lines they do not reach
	$(RUN)/$(PYTEST) --cov --cov-report=term:skip-covered

drill: $(READY) servers ## break things for an hour: kill, cut, fill and flip, and the tests once more on every back end
	GAUGEBOOK_TEST_DRILL=1 $(RUN)/pytest -m drill
	GAUGEBOOK_TEST_STORE=debian $(RUN)/$(PYTEST)
	[ -z "$$GAUGEBOOK_TEST_TIMESCALE_DSN" ] || GAUGEBOOK_TEST_STORE=timescale $(RUN)/$(PYTEST)

lint: $(READY) ## check style, types and layers
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

lab: $(READY) ## open the notebooks in JupyterLab
	$(RUN)/gaugebook lab

bench: $(READY) ## measure ourselves beside our peers
	for program in benchmarks/*.py; do $(RUN)/python $$program || exit 1; done

report: $(READY) ## make the reports of the store that the settings name
	for report in llm_cost llm_performance queue_health weekly_summary forecast_quality data_quality; do \
		$(RUN)/gaugebook report run $$report || exit 1; done

dashboards-preview: $(READY) servers ## draw every dashboard of a made-up company, without a Grafana, into previews/
	$(RUN)/python -m tests.deploy.previews previews

servers: ## install the servers that the tests start, from Debian
	.ci/servers

lock: $(READY) ## choose the newest versions that pyproject.toml allows and write requirements.lock
	$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install -q uv
	$(VENV)-lock/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-package gaugebook --no-header --quiet -o requirements.lock
	rm -rf $(VENV)-lock

clean: ## remove the environment and what tools leave behind
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .coverage

$(READY): requirements.lock pyproject.toml gaugebook.py # which an editable installation copies
	PYTHON=$(PYTHON) .ci/environment $(VENV)
	touch $@
