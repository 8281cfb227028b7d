# `make demo` and `make test` set up everything they need, on a bare Debian or Ubuntu with Python 3.11.
PYTHON := .venv/bin/python
SAMPLE := examples/al-fatiha.opus

.PHONY: demo test lint
demo:
	tools/setup.sh
	$(PYTHON) -m stream.replay --speed realtime $(SAMPLE)

test: lint
	$(PYTHON) -m pytest

lint:
	tools/setup.sh dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
