# `make bench` measures the quick sweep and reports it; `make test` lints and tests.
PYTHON ?= python3
GPU := $(shell nvidia-smi -L >/dev/null 2>&1 && echo -gpu)
REQUIREMENTS := requirements$(GPU).txt

bench: .venv/installed
	.venv/bin/python run_bench.py

test: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/python -m pytest -m 'not alone' --numprocesses 2 --dist loadfile
	.venv/bin/python -m pytest -m alone $$(grep --recursive --files-with-matches \
		--include='test_*.py' mark.alone tests)

.venv/installed: $(REQUIREMENTS)
	@echo "Installing TensorFlow and all other packages into .venv, about 2 minutes ..."
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check \
		--require-hashes --requirement $(REQUIREMENTS)
	touch $@

lock: pyproject.toml
	uv pip compile pyproject.toml --extra test --universal --generate-hashes \
		--no-header --output-file requirements.txt
	uv pip compile pyproject.toml --extra test --extra gpu --universal \
		--generate-hashes --no-header --output-file requirements-gpu.txt

.PHONY: bench test lock
