# Two commands matter: `make demo` and `make test`. Both set up .venv first and are idle when nothing changed.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test test-all lint format bench lock clean
demo: $(READY)
	$(BIN)/sweep run specs/demo.yaml

test: $(READY)
	$(BIN)/pytest -n 2 -m "not slow"

test-all: $(READY)
	$(BIN)/pytest -n 2

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m tests.benchmarks

# The environment: pip reads the lock, then this project itself (editable, no download).
$(READY): requirements.lock requirements-wespeaker.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "CPython 3.11 is needed, found " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -q -r requirements.lock
	$(BIN)/pip install --disable-pip-version-check -q --no-deps -r requirements-wespeaker.lock
	$(BIN)/pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	touch $(READY)

# Resolve afresh in a throw-away environment and pin what pip chose.
lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	$(PYTHON) -c 'import tomllib; print("\n".join(d for d in tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"] if not d.startswith("wespeaker")))' > .venv-lock/wanted.txt
	.venv-lock/bin/pip install -q torch==2.13.0
	.venv-lock/bin/pip install -q -r .venv-lock/wanted.txt -r requirements-dev.txt
	(echo '# Every package of the environment, pinned, for plain pip. Written by `make lock`.'; \
	 echo '# torch is exactly 2.13.0: a machine without a GPU resolves it to a CPU build.'; \
	 .venv-lock/bin/pip list --format=freeze --exclude pip | sed 's/+cpu$$//' ) > requirements.lock
	rm -rf .venv-lock

clean:
	rm -rf .venv .venv-lock build *.egg-info
