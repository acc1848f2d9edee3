# Tocsin: `make` prints what there is.
VENV     := .venv
PYTHON   := $(VENV)/bin/python
STAMP    := $(VENV)/.installed
CLUSTER  ?= processes
IMAGE    ?= tocsin:dev
# Where the definitions lie: for people and Git, and for Helm. Files twice, as links do not survive every copy of a tree.
CRDS     := crds charts/tocsin/crds
# Two control planes at once where they are ours; on a cluster that exists, one test after another.
WORKERS  := $(if $(filter processes,$(CLUSTER)),-n 2 --dist loadscope)
# Which cluster the tests and the demo use: processes (ours, the default), kind (needs Docker) or kubeconfig.
export TOCSIN_CLUSTER := $(CLUSTER)

.DEFAULT_GOAL := help
.PHONY: help lint test bench faults demo cluster-up cluster-down generate image clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  CLUSTER=kind runs test and demo on a kind cluster (needs Docker); CLUSTER=kubeconfig on the one of KUBECONFIG"

$(STAMP): requirements-build.txt requirements-dev.txt pyproject.toml
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.txt -r requirements-dev.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

lint: $(STAMP) ## check style, types, imports, and that everything generated is fresh
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PYTHON) -m tocsin.api.schema --check $(CRDS)
	$(PYTHON) -m tocsin.api.reference --check docs/reference/api.md
	$(PYTHON) -m tocsin.cli.gallery --check docs/reference
	$(PYTHON) -m tests.bench.report --check

test: $(STAMP) ## run every test, the end-to-end ones on a real control plane included
	$(PYTHON) -m pytest $(WORKERS)

bench: $(STAMP) ## measure speed, cost and growth on a cluster of its own, and write docs/benchmarks.md
	$(PYTHON) -m tests.bench --out tests/bench/results.json
	$(PYTHON) -m tests.bench.report --write

faults: $(STAMP) ## have everything fail while incidents go on, and look for what was lost or done twice
	$(PYTHON) -m tests.faults

demo: $(STAMP) ## see a bad model found, contained and escalated, live
	$(PYTHON) -m tests.demo

cluster-up: $(STAMP) ## start a cluster of your own: a real control plane, pods are processes
	$(PYTHON) -m tests.cluster up

cluster-down: $(STAMP) ## end it
	$(PYTHON) -m tests.cluster down

generate: $(STAMP) ## make anew what is generated: CRDs, reference, golden files
	$(PYTHON) -m tocsin.api.schema --write $(CRDS)
	$(PYTHON) -m tocsin.api.reference --write docs/reference/api.md
	$(PYTHON) -m tocsin.cli.gallery --write docs/reference
	TOCSIN_UPDATE_GOLDEN=1 $(PYTHON) -m pytest -q tests/chart/test_templates.py

image: ## build the operator's image with Docker
	docker build --target operator --tag $(IMAGE) .

clean: ## remove what make made in this folder
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
