# `make demo`, `make serve` and `make test` set up everything they need, on a bare Debian or Ubuntu
# with Python 3.11.
PYTHON := .venv/bin/python
SAMPLE := examples/al-fatiha.opus
DOCUMENTED := stream stream.subtitles quran_index lm decoders acoustic

.PHONY: demo serve test lint docs
demo:
	tools/setup.sh
	$(PYTHON) -m stream.replay --speed realtime $(SAMPLE)

serve:
	tools/setup.sh serve
	$(PYTHON) -m stream.serve

test: lint
	$(PYTHON) -m pytest

lint:
	tools/setup.sh dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

docs: # the API reference, into docs/api
	tools/setup.sh docs
	$(PYTHON) -m pdoc --docformat google --output-directory docs/api $(DOCUMENTED)
