# Two commands matter: `make demo` and `make test`. Both set up .venv first and are idle when nothing changed.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
READY_DEV := .venv/.ready-dev

.PHONY: demo test test-all lint format bench lock clean
demo: $(READY)
	$(BIN)/sweep run specs/demo.yaml

# A thread per test process: four processes with a thread per core each would wait for each other.
test: $(READY_DEV)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 4 --dist worksteal -m "not slow"

test-all: $(READY_DEV)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 4 --dist worksteal

lint: $(READY_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY_DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY_DEV)
	PYTHONPATH=$(CURDIR) $(BIN)/python -m tests.benchmarks

# The environment: pip reads the lock, then this project itself (editable, no download).
$(READY): requirements.lock requirements-nodeps.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "CPython 3.11 or later is needed, found " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -q -r requirements.lock
	$(BIN)/pip install --disable-pip-version-check -q --no-deps -r requirements-nodeps.lock
	$(BIN)/pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	touch $(READY)

# Beside it, what tests, linters and benchmarks need.
$(READY_DEV): $(READY) requirements-dev.lock
	$(BIN)/pip install --disable-pip-version-check -q -r requirements-dev.lock
	touch $(READY_DEV)

# Resolve everything afresh in one throw-away environment, then see in another what the product alone takes of it.
PRODUCT = import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; extras = project["optional-dependencies"]; \
	print(*project["dependencies"], *(d for name in ("demo", "lhotse", "prosody", "tempo") for d in extras[name]), sep="\n")
lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock/all && $(PYTHON) -m venv .venv-lock/product
	$(PYTHON) -c '$(PRODUCT)' > .venv-lock/wanted.txt
	.venv-lock/all/bin/pip install -q torch==2.13.0
	.venv-lock/all/bin/pip install -q -r .venv-lock/wanted.txt -r requirements-dev.txt
	.venv-lock/all/bin/pip list --format=freeze --exclude pip | sed 's/+cpu$$//' > .venv-lock/all.txt
	.venv-lock/product/bin/pip install -q torch==2.13.0 -c .venv-lock/all.txt
	.venv-lock/product/bin/pip install -q -r .venv-lock/wanted.txt -c .venv-lock/all.txt
	.venv-lock/product/bin/pip list --format=freeze --exclude pip | sed 's/+cpu$$//' > .venv-lock/product.txt
	(echo '# Every package of the product, pinned, for plain pip. Written by `make lock`.'; \
	 echo '# torch is exactly 2.13.0: a machine without a GPU resolves it to a CPU build.'; \
	 cat .venv-lock/product.txt) > requirements.lock
	(echo '# What requirements-dev.txt brings beside requirements.lock, pinned. Written by `make lock`.'; \
	 grep -vxFf .venv-lock/product.txt .venv-lock/all.txt) > requirements-dev.lock
	rm -rf .venv-lock

clean:
	rm -rf .venv .venv-lock build *.egg-info
