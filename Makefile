# Two commands do all the set-up on a fresh Debian machine with Python and Node:
#   make demo               JupyterLab on the first notebook   (HEADLESS=1: pictures of it)
#   make test               everything that CI runs
#   make bench              the download engine beside its peers   (BENCH: its options)
#   make bench-panel        the panel beside its peers             (BENCH: its options)
#   make bench-market       the marketplace beside other lists     (BENCH: its options)
#   make reliability        the fault suite; writes docs/reliability.md
#   make soak               half an hour of weather   (RBEE_SOAK_MINUTES, RBEE_SOAK_SEED)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
CHROMIUM ?= /usr/bin/chromium
export CHROMIUM
PEERS := /usr/sbin/nginx /usr/bin/aria2c /usr/bin/curl /usr/bin/wget

.PHONY: demo test check bench bench-panel bench-market reliability soak

demo: $(VENV)/.installed $(if $(HEADLESS),$(CHROMIUM))
	$(BIN)/python -m notebooks.demo $(if $(HEADLESS),--headless)

test: check $(CHROMIUM)
	$(BIN)/python -m pytest --durations 10 -m "not alone" --numprocesses 3
	$(BIN)/python -m pytest --durations 10 -m alone

check: $(VENV)/.installed js/node_modules/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	cd js && npm run check

bench: $(VENV)/.installed $(PEERS)
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python -m benchmarks.engine $(BENCH)

bench-panel: $(VENV)/.installed $(CHROMIUM)
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python -m benchmarks.panel $(BENCH)

bench-market: $(VENV)/.installed $(CHROMIUM)
	$(BIN)/python -m benchmarks.marketplace $(BENCH)

reliability: check $(CHROMIUM)
	$(BIN)/python -m pytest tests/faults --write-reliability --deselect tests/faults/test_table.py

soak: export RBEE_SOAK_MINUTES ?= 30
soak: $(VENV)/.installed
	$(BIN)/python -m pytest tests/soak -rP

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV) || { $(SUDO) apt-get update && \
	  $(SUDO) apt-get install -y python3-venv && $(PYTHON) -m venv --clear $(VENV); }
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@

js/node_modules/.installed: js/package-lock.json
	cd js && npm ci --no-audit --no-fund
	touch $@

$(PEERS) &:
	$(SUDO) apt-get update
	$(SUDO) apt-get install -y --no-install-recommends nginx aria2 curl wget

$(CHROMIUM):
	$(SUDO) apt-get update
	$(SUDO) apt-get install -y chromium fonts-dejavu-core fonts-noto-color-emoji
