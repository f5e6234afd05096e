# Every target sets up .venv by itself, from constraints.txt: a fresh machine needs Python 3.11+, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test lint lock mutants clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY) ## see it work: the real worker against a simulated LangSmith and Slack
	@$(BIN)/review-notifier demo $(ARGS)

test: $(READY) ## run every test
	@$(BIN)/python -m pytest -n auto $(ARGS)

lint: $(READY) ## check style, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

lock: ## refresh constraints.txt with the newest versions that pyproject.toml allows
	@rm -rf $(VENV)-lock && $(PYTHON) -m venv $(VENV)-lock
	@$(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check '.[dev]'
	@$(VENV)-lock/bin/python -m pip freeze --exclude langsmith-review-notifier | grep -v ' @ ' > constraints.txt
	@rm -rf $(VENV)-lock

clean: ## remove what the other targets made
	@rm -rf $(VENV) $(VENV)-lock mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
