# Every target sets up what it needs by itself, from constraints.txt: a fresh machine needs Python 3.11+, pip and make.
PYTHON ?= python3
DOCKER ?= docker
RELEASED = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := $(VENV)-demo/.ready
RELEASE := $(VENV)-release/.ready
BENCH := $(VENV)-bench/.ready
MUTANTS := $(VENV)-mutants/.ready
LOWEST := $(VENV)-lowest/.ready

# The tests start the worker some hundred times: without its compiled files each start takes half as long again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test lowest lint lock audit dist image bench month profile soak crashes coverage mutants clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

NEW_ENOUGH = $(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=python3.11")'

$(READY): pyproject.toml constraints.txt
	@$(NEW_ENOUGH)
	@echo "Making $(VENV) with the developers' tools (about 700 MB): some minutes, once."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# What users install, and nothing more. Where Python has a pip that can, the environment needs none of its own; without
# byte code it takes two thirds of the time and of the room, and what the demo imports is compiled as it starts.
$(DEMO): PIP = $(PYTHON) -m pip --python $(VENV)-demo/bin/python
$(DEMO): pyproject.toml constraints.txt
	@$(NEW_ENOUGH)
	@echo "Making $(VENV)-demo with what the worker needs to run (about 80 MB): half a minute, once."
	@rm -rf $(VENV)-demo && $(PYTHON) -m venv --without-pip $(VENV)-demo
	@$(PIP) --version >/dev/null 2>&1 || $(VENV)-demo/bin/python -m ensurepip --default-pip >/dev/null
	@pip="$(PIP)"; $$pip --version >/dev/null 2>&1 || pip="$(VENV)-demo/bin/python -m pip"; \
	{ $$pip install --disable-pip-version-check --progress-bar off --no-compile -c constraints.txt -e . 2>&1 && touch $@; } | \
		awk '/^Collecting /{sub(/[^A-Za-z0-9._-].*/, "", $$2); printf "%s%s", (n++ ? " " : "  getting "), $$2; fflush()} \
			/^Installing /{print "\n  installing"} /^ *(ERROR|error)/{print}'
	@[ -e $@ ] || { echo "The installation failed; the lines above that begin with ERROR say why." >&2; exit 1; }

demo: $(DEMO) ## see it work: the real worker against a simulated LangSmith and Slack
	@$(VENV)-demo/bin/review-notifier demo $(ARGS)

# More processes than cores, since the tests of the real process mostly wait; each collects all tests for itself.
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

# The image is what `review-notifier files container` writes: tagged by the release, built of the package index.
dist: $(RELEASE) ## build wheel, sdist, the image's recipe and the list of parts (SBOM) into dist/, and install both cleanly
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
	@$(VENV)-dist/bin/langsmith-review-notifier files container --to $(VENV)-dist >/dev/null
	@tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C $(VENV)-dist -cf - container | gzip -n \
		> dist/langsmith-review-notifier-$(RELEASED)-image.tar.gz
	@cd dist && sha256sum -- * > SHA256SUMS && cat SHA256SUMS
	@rm -rf $(VENV)-dist

image: ## build the image of this checkout, tagged by its version, with docker or with DOCKER=podman
	@$(DOCKER) build -f deploy/container/Dockerfile -t review-notifier:$(RELEASED) \
		--build-arg VERSION=$(RELEASED) --build-arg COMMIT="$$(git rev-parse HEAD 2>/dev/null || echo unknown)" .

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
	@rm -rf $(VENV) $(VENV)-lock $(VENV)-release $(VENV)-dist $(VENV)-bench $(VENV)-mutants $(VENV)-lowest $(VENV)-demo bench.json bench.svg mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
