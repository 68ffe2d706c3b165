# make demo: train and score on the embedded speech.   make test: lint and tests.
# Each sets up .venv by itself; once set up, neither needs a network. PIP_OPTIONS is passed to pip: see the README.
PYTHON ?= python3
PIP_OPTIONS ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS)

.PHONY: demo test lint docs clean

demo: .venv/.ready
	$(BIN)/python trainSpeakerNet.py --config configs/demo.yaml

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: .venv/.ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

docs: .venv/.ready-dev
	$(BIN)/python -m pytest -m docs

.venv/.ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo 'Python 3.10 or newer is needed, and "$(PYTHON)" is '"$$($(PYTHON) -V 2>&1)"'. Name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12'; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) -r requirements.txt
	@touch $@

.venv/.ready-dev: .venv/.ready requirements-dev.txt
	$(PIP) -r requirements-dev.txt
	@touch $@

clean:
	rm -rf .venv exps
