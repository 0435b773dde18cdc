# make demo   set up what is missing, then swap a face on two bundled clips
# make check  set up what is missing, then format, lint, types and tests

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo check bench clean-setup

demo: $(VENV)/ready
	$(BIN)/understudy demo

check: $(VENV)/ready-to-check
	scripts/check $(BIN)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Understudy needs Python 3.11 or newer; name one with: make PYTHON=python3.12 demo"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/ready: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -e .
	$(BIN)/understudy weights get mediapipe
	@touch $@

$(VENV)/ready-to-check: $(VENV)/ready
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -e ".[dev]"
	@touch $@

clean-setup:
	rm -rf $(VENV)
