# Two commands do all the set-up on a machine with Python ≥ 3.11 and its venv module:
#   make run    environment, install, server on its embedded default
#   make test   environment, install, whole suite
# and a third does at length what the suite does in short, for hours: make nightly (docs/testing.md)
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
CONFIG ?=
UI = api/ui/source
# Most of the suite waits for servers that start and stop: five processes keep two processors busy.
JOBS ?= 5
# Servers under test are started hundreds of times: without compiled modules each start takes nearly twice the processor time.
export PYTHONDONTWRITEBYTECODE =

# The suite's folders lie in memory where there is plenty of it: thousands of indexes are synced for nothing on a disk. The long run uses the disk.
IN_MEMORY = $(shell awk '/^MemAvailable/ && $$2 > 8e6 {enough = 1} END {exit !enough}' /proc/meminfo 2>/dev/null && ! grep -qsv max /sys/fs/cgroup/memory.max \
  && [ "$$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 8000000 ] 2>/dev/null && echo /dev/shm)
test check: export PYTEST_DEBUG_TEMPROOT ?= $(or $(IN_MEMORY),/tmp)

.PHONY: run test nightly check format clean ui check-ui

run: $(VENV)/.installed
	$(BIN)/sinogram serve $(CONFIG)

# The browser's tests need a package of the page's; without Node.js they are skipped.
test: $(VENV)/.installed-dev $(if $(shell command -v npm),$(UI)/node_modules/.installed)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

nightly: export SINOGRAM_RESTARTS ?= 50
nightly: export SINOGRAM_KILL_ROUNDS ?= 100
nightly: export SINOGRAM_JOB_KILLS ?= 20
nightly: export SINOGRAM_HEAL_KILLS ?= 20
nightly: export SINOGRAM_COMMITMENT_KILLS ?= 20
nightly: export SINOGRAM_RECYCLING_KILLS ?= 20
nightly: export SINOGRAM_FEED_KILLS ?= 20
nightly: export SINOGRAM_LUA_INSTANCES ?= 2000
nightly: export SINOGRAM_LUA_SECONDS ?= 60
nightly: export SINOGRAM_FUZZ_INPUTS ?= 50000
nightly: export SINOGRAM_TEST_EXAMPLES ?= 10
nightly: export SINOGRAM_EARLY_ANSWERS ?= 50
nightly: export SINOGRAM_TEST_LARGE_BYTES ?= 2000000000
nightly: export SINOGRAM_PEER_SINGLE_PROCESS ?= 0
nightly: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -o timeout=14400 -m '' $(ARGS)

check: $(VENV)/.installed-dev $(UI)/node_modules/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	@# The type checker keeps one processor busy for 16 s, and the tests do not keep two: it runs beside them, and so does what checks the page.
	{ $(BIN)/mypy && $(MAKE) --no-print-directory check-ui; } & types=$$!; \
	  $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS); tests=$$?; \
	  wait $$types || { echo 'mypy or the checks of the page have found errors: see above'; exit 1; }; exit $$tests

# Builds the page (api/ui/built); needs Node.js 20.19 or later. The server and the wheel need none: the built files are committed.
ui: $(UI)/node_modules/.installed
	cd $(UI) && npm run --silent build

check-ui: $(UI)/node_modules/.installed
	cd $(UI) && npm run --silent check && npm run --silent test
	@# What is committed is what is built from the sources, byte for byte.
	cd $(UI) && npm run --silent build -- --outDir node_modules/.built --logLevel warn && diff -r node_modules/.built ../built

$(UI)/node_modules/.installed: $(UI)/package-lock.json
	cd $(UI) && npm ci --no-audit --no-fund --silent
	touch $@

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sinogram needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml setup.py | $(BIN)/python
	@# What is never imported need not be compiled: that took a third of the time.
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[dev]'
	touch $@ $(VENV)/.installed
