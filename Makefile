# make demo: train and score on the embedded speech.   make test: lint and tests.
# Each sets up .venv from requirements.txt by itself; once set up, neither needs a network.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint clean

demo: .venv/.ready
	$(BIN)/python trainSpeakerNet.py --config configs/demo.yaml

test: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m pytest

.venv/.ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo 'Python 3.10 or newer is needed, and "$(PYTHON)" is '"$$($(PYTHON) -V 2>&1)"'. Name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12'; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

clean:
	rm -rf .venv exps
