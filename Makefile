.PHONY: setup demo demo-elastic test test-slow check bench bench-gpu clean

PYTHON ?= python3
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO := runs/demo
ELASTIC := runs/demo-elastic

demo: $(INSTALLED)
	rm -rf $(DEMO)
	$(BIN)/dartboard search darts --data digits --epochs 6 --threads 1 --out $(DEMO)/search
	$(BIN)/dartboard train $(DEMO)/search --data digits --epochs 8 --threads 1 --out $(DEMO)/train
	$(BIN)/dartboard report $(DEMO)/search $(DEMO)/train --out $(DEMO)/report.html
	@echo "open this page: $(CURDIR)/$(DEMO)/report.html"

# One supernet, three questions, and the front of all it can be; under three minutes.
demo-elastic: $(INSTALLED)
	rm -rf $(ELASTIC)
	$(BIN)/dartboard search bignas --space bignas-8 --data digits --threads 1 --out $(ELASTIC)
	$(BIN)/dartboard specialise $(ELASTIC) --limit "macs<=200K"
	$(BIN)/dartboard specialise $(ELASTIC) --limit "macs<=500K"
	$(BIN)/dartboard specialise $(ELASTIC) --limit "params<=60K,macs<=1M"
	$(BIN)/dartboard front $(ELASTIC) --targets 4 --scorings 20
	@echo "open these pages: $(CURDIR)/$(ELASTIC)/report.html $(CURDIR)/$(ELASTIC)/front/report.html"

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow --timeout 3600
	$(BIN)/python -m pytest -n 2 -m "hypothesis and not slow" --hypothesis-profile new-examples

check: $(INSTALLED)
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy

# About seven minutes: every figure and picture of docs/performance.md.
bench: $(INSTALLED)
	$(BIN)/python benchmarks/bench.py --out docs/performance

# One GPU, at most eight minutes; from the source tree with the torch, triton and numpy of $(PYTHON). See docs/gpu.md.
bench-gpu:
	$(PYTHON) benchmarks/gpu.py --out runs/bench-gpu

setup: $(INSTALLED)

# Once, and again when the dependencies change.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; give one with: make PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(DEMO) $(ELASTIC) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
