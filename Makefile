# Every target sets up .venv by itself, from constraints.txt: a fresh machine needs Python 3.11+, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RELEASE := $(VENV)-release/.ready
BENCH := $(VENV)-bench/.ready
MUTANTS := $(VENV)-mutants/.ready
LOWEST := $(VENV)-lowest/.ready

# The tests start the worker some hundred times: without its compiled files each start takes half as long again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test lowest lint lock audit dist bench month profile soak crashes coverage mutants clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY) ## see it work: the real worker against a simulated LangSmith and Slack
	@$(BIN)/review-notifier demo $(ARGS)

# More processes than cores: the tests of the real process mostly wait.
test: $(READY) ## run every test
	@$(BIN)/python -m pytest -n 8 $(ARGS)

$(LOWEST): pyproject.toml tests/lowest.py
	@rm -rf $(VENV)-lowest && $(PYTHON) -m venv $(VENV)-lowest
	@$(VENV)-lowest/bin/python -m tests.lowest > $(VENV)-lowest/pins.txt
	@$(VENV)-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c $(VENV)-lowest/pins.txt -e '.[dev]'
	@touch $@

lowest: $(LOWEST) ## run the unit and contract tests with the lowest versions that pyproject.toml allows
	@$(VENV)-lowest/bin/python -m pytest -n 8 $(or $(ARGS),tests/unit tests/contract)

lint: $(READY) ## check style, types, the direction of imports, and what is shipped for deployment
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/shellcheck .ci/run deploy/systemd/install.sh findings/*.sh
	@$(BIN)/hadolint deploy/container/Dockerfile
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/container/compose*.yaml
	@$(BIN)/kubernetes-validate --strict --quiet deploy/kubernetes/*.yaml

lock: ## refresh constraints.txt with the newest versions that pyproject.toml allows
	@rm -rf $(VENV)-lock && $(PYTHON) -m venv $(VENV)-lock
	@$(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check '.[dev,release,bench,mutation]'
	@$(VENV)-lock/bin/python -m pip freeze --exclude langsmith-review-notifier | grep -v ' @ ' > constraints.txt
	@rm -rf $(VENV)-lock

$(RELEASE): pyproject.toml constraints.txt
	@rm -rf $(VENV)-release && $(PYTHON) -m venv $(VENV)-release
	@$(VENV)-release/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		build cyclonedx-bom pip-audit
	@touch $@

audit: $(RELEASE) ## look for known vulnerabilities in what constraints.txt names (asks the package index)
	@$(VENV)-release/bin/pip-audit --strict --disable-pip --no-deps -r constraints.txt

dist: $(RELEASE) ## build wheel, sdist and their list of parts into dist/, and install both cleanly
	@rm -rf dist && $(VENV)-release/bin/python -m build --outdir dist .
	@set -e; for built in dist/*.tar.gz dist/*.whl; do \
		rm -rf $(VENV)-dist && $(PYTHON) -m venv --without-pip $(VENV)-dist; \
		$(VENV)-release/bin/python -m pip --python $(VENV)-dist/bin/python install --quiet \
			--disable-pip-version-check -c constraints.txt "$$built"; \
		$(VENV)-dist/bin/review-notifier --version; \
		(cd / && $(CURDIR)/$(VENV)-dist/bin/review-notifier demo --fast >/dev/null); \
	done
	@$(VENV)-release/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--output-file dist/sbom.cdx.json $(VENV)-dist/bin/python
	@cd dist && sha256sum -- * > SHA256SUMS && cat SHA256SUMS
	@rm -rf $(VENV)-dist

# By itself: what is measured must not be slowed by the tools of the tests, nor the other way round.
$(BENCH): pyproject.toml constraints.txt
	@$(PYTHON) -m venv $(VENV)-bench
	@$(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

bench: $(BENCH) ## measure what the worker costs, in half an hour; in half a minute with ARGS=--quick, one part alone with ARGS=i
	@$(VENV)-bench/bin/python -m benchmarks $(ARGS)

month: $(BENCH) ## count the messages of a simulated month, policy by policy; of a week with ARGS=--quick
	@$(VENV)-bench/bin/python -m benchmarks.month $(ARGS)

profile: $(BENCH) ## show where the time of a poll goes
	@$(VENV)-bench/bin/python -m benchmarks.profiling $(ARGS)

$(MUTANTS): pyproject.toml constraints.txt
	@$(PYTHON) -m venv $(VENV)-mutants
	@$(VENV)-mutants/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,mutation]'
	@touch $@

coverage: $(READY) ## run the core's own tests; every branch of it must be reached
	@$(BIN)/python -m pytest -q -n 2 tests/unit/core --cov=worker.core --cov-fail-under=100 --cov-report=term-missing:skip-covered

mutants: $(MUTANTS) ## change the core in a thousand small ways and list what no test of the core notices
	@$(VENV)-mutants/bin/mutmut run $(ARGS)
	@$(VENV)-mutants/bin/mutmut results

soak: $(READY) ## 100,000 polls under a fake clock: memory, files and database stay flat
	@$(BIN)/python -m benchmarks.soak $(ARGS)

crashes: N ?= 100
crashes: $(READY) ## kill the worker at random moments, N=100 on each database, and say what was lost or seen twice
	@$(BIN)/python -m pytest -q -n 0 -p no:randomly --timeout 0 tests/system/test_crashes.py -k random --crashes $(N)

clean: ## remove what the other targets made
	@rm -rf $(VENV) $(VENV)-lock $(VENV)-release $(VENV)-dist $(VENV)-bench $(VENV)-mutants $(VENV)-lowest bench.json bench.svg mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
