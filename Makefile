# `make` alone lists what there is. Needs Python 3.11 or later, Node 20 or later and make.

PYTHON ?= python3
BIN := .venv/bin
# Each is rebuilt when what it was installed from changes.
PACKAGES := .venv/.installed
AZURITE := demo/node_modules/.installed

# In parallel. A worker that has nothing left to do takes over tests of another.
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

# As one command, so that both locks are always resolved alike.
COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet $(UPGRADE) \
	--python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	--generate-hashes --no-emit-index-url --no-annotate

# The settings and secrets of .env, which git ignores. A setting of the environment goes before.
ENV := before="$$(export -p)"; set -a; [ ! -f .env ] || . ./.env; set +a; eval "$$before";

.PHONY: help demo run test test-all lint e2e systems fuzz check sources notify chaos bench package replay lock clean

help: ## List the commands
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name text; do \
		printf '  make %-8s %s\n' "$$name" "$$text"; done

demo: $(PACKAGES) $(AZURITE) ## Watch one real job, from the request to its stored row and its notice
	@$(BIN)/python -m demo

run: $(PACKAGES) $(AZURITE) ## Serve on PORT (7071) until Ctrl-C
	@$(ENV) exec $(BIN)/python -m demo run

test: $(PACKAGES) $(AZURITE) ## Run the tests, but for the long ones
	$(PYTEST) -m "not long"

test-all: $(PACKAGES) $(AZURITE) ## Run all tests
	$(PYTEST)

lint: $(PACKAGES) ## Check style, format, types, and which folder imports which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache --no-logo
	cd client/src && ../../$(BIN)/lint-imports --no-cache --no-logo ../pyproject.toml
	$(BIN)/mypy

e2e: $(PACKAGES) ## Run the end-to-end tests on any host: make e2e BASE_URL=http://...
	@[ -n "$(BASE_URL)" ] || { echo "Say which host to test: make e2e BASE_URL=http://..."; exit 1; }
	$(BIN)/python -m pytest tests/e2e --base-url "$(BASE_URL)"

systems: $(PACKAGES) $(AZURITE) ## Install real job systems and watch jobs of theirs: make systems [NAMES="ray slurm"]
	$(BIN)/python -m tools.systems $(NAMES)

fuzz: $(PACKAGES) $(AZURITE) ## Plant functions that raise anything; compare random orchestrations with the SDK; try the API: make fuzz [PLANS=5000 REQUESTS=10000]
	$(BIN)/python -m pytest tests/devhost/test_planted.py
	$(BIN)/python -m tests.openapi.fuzz --requests $(or $(REQUESTS),10000)
	$(BIN)/python -m tests.devhost.fuzz --plans $(or $(PLANS),5000)

check: $(PACKAGES) ## Poll one job once and show all of it: make check SOURCE=demo JOB=job-1
	@$(ENV) $(BIN)/python -m adapters.dry_run "$(SOURCE)" "$(JOB)"

sources: $(PACKAGES) ## Check the sources without asking anybody: make sources [FILE=job_sources.toml]
	@$(BIN)/python -m adapters.check_sources $(if $(FILE),"$(FILE)")

notify: $(PACKAGES) ## Send a test message to a channel: make notify CHANNEL=ops
	@$(ENV) $(BIN)/python -m adapters.try_channel "$(CHANNEL)"

chaos: $(PACKAGES) $(AZURITE) ## Watch 1,000 jobs, half of them swept, while parts are killed at random: make chaos [ARGS="--monitors 10000 --swept 0.9 --minutes 20"]
	@$(BIN)/python -m tools.chaos $(ARGS)

bench: $(PACKAGES) $(AZURITE) ## Measure, and compare with peers: make bench [PARTS="whole engine sources store price partition peers scale ended digest"], the last four take long
	@$(BIN)/python -m tools.bench $(if $(PARTS),--parts $(PARTS))

replay: $(PACKAGES) ## Replay recorded histories on the orchestrators: make replay [FILES="*.json"]
	@$(BIN)/python -m devhost replay $(or $(FILES),tests/histories/*/*.json)

package: $(PACKAGES) ## List the files that are deployed
	@$(BIN)/python -m tools.package

lock: $(PACKAGES) ## Lock the dependencies; others keep their version: make lock [UPGRADE=--upgrade]
	$(BIN)/pip install --quiet uv
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) requirements-dev.in -o requirements-dev.txt
	cd demo && npm install --package-lock-only --omit-lockfile-registry-resolved

clean: ## Remove what was installed, cached and stored here
	rm -rf .venv demo/node_modules .local .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PACKAGES): requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 or later is needed; '$(PYTHON)' is missing or older (make PYTHON=...)."; exit 1; }
	@begin=$$(date +%s); \
	if [ -e .venv ]; then echo ".venv is there. It is brought up to date with $<."; else \
		echo "$$($(PYTHON) --version) is there. $$(grep -c == $<) packages come into .venv:" \
			"200 MB on disk, about 30 s. This is done once."; fi; \
	$(PYTHON) -m venv .venv && \
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $< && \
	touch $@ && echo ".venv is ready after $$(($$(date +%s) - begin)) s."

$(AZURITE): demo/package-lock.json
	@node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null || \
		{ echo "Node 20 or later is needed; 'node' is missing or older."; exit 1; }
	@begin=$$(date +%s); \
	echo "Node $$(node --version) is there. Azurite, the storage emulator, comes into" \
		"demo/node_modules: 190 MB on disk, about 45 s. This is done once."; \
	cd demo && npm ci --silent --no-audit --no-fund && \
	touch node_modules/.installed && echo "Azurite is ready after $$(($$(date +%s) - begin)) s."
