.PHONY: demo test test-slow check clean setup
PYTHON ?= python3
PIP_ARGS ?=
