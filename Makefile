.DEFAULT_GOAL := help
.PHONY: help serve test lint proto reference bench evaluation clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= data
REPORTS ?= reports
FASHION ?=
ADDRESS ?= 127.0.0.1:50051
# Installed before what depends on it, so that its CPU build is the one that stays.
TORCH := torch==2.13.0 torchvision==0.28.0

help: ## List the targets.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

serve: $(VENV)/server ## Draw the demo on the first start and serve it on $(ADDRESS).
	$(BIN)/tashihiki serve --demo --data $(DATA) --address $(ADDRESS)

test: $(VENV)/dev lint ## Set up everything else and run all tests.
	$(BIN)/pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/dev ## Formatting, types, and generated code that is current.
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy client server training tests benchmarks examples reference
	$(BIN)/lint-imports --no-cache
	proto/check.sh

proto: ## Generate client/tashihiki/v1 from proto/.
	proto/generate.sh ../client

reference: $(VENV)/dev ## Write docs/api.md and docs/rpc.md from docstrings and proto/.
	$(BIN)/python -m reference

bench: $(VENV)/bench ## Measure what takes minutes, and write docs/performance.md.
	$(BIN)/python -m benchmarks encoder transport start queries rivals overload
	$(BIN)/python -m benchmarks document

evaluation: $(VENV)/dev ## Evaluate the demo, and FASHION; docs/evaluation.md has the tables.
	$(BIN)/tashihiki demo --out $(REPORTS)/demo
	$(BIN)/tashihiki evaluate $(REPORTS)/demo/faces --out $(REPORTS)/faces
	$(BIN)/tashihiki evaluate $(REPORTS)/demo/items --out $(REPORTS)/items
	$(if $(FASHION),$(BIN)/tashihiki evaluate $(FASHION) --out $(REPORTS)/fashion \
	    --facet articleType --facet baseColour --top articleType=16 --top baseColour=12)
	$(BIN)/python -m tashihiki_evaluation.document docs/evaluation.md \
	    $(REPORTS)/faces $(REPORTS)/items $(if $(FASHION),$(REPORTS)/fashion)
	$(BIN)/python -m benchmarks document

clean: ## Remove environments and caches; the data folder stays.
	rm -rf .venv .venv-proto .*_cache build *.egg-info

$(VENV)/base:
	PYTHON=$(PYTHON) ./setup.sh $(VENV)
	touch $@

$(VENV)/server: $(VENV)/base pyproject.toml
	@echo Installing the server …
	$(BIN)/pip install --quiet --editable '.[server]'
	touch $@

$(VENV)/dev: $(VENV)/server
	@echo Installing what training and the tests need …
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet --editable '.[dev]'
	PYTHON=$(PYTHON) ./setup.sh $(VENV) chromium
	touch $@

$(VENV)/bench: $(VENV)/dev
	@echo Installing what the benchmarks compare with …
	$(BIN)/pip install --quiet --editable '.[bench]'
	touch $@
