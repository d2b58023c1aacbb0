# Scriptreel: `make help` lists what can be done.
.DEFAULT_GOAL := help
.PHONY: help setup setup-worker demo run worker worker-key worker-keys test explore fuzz check format bench bench-queue soak powercut clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_WORKER := $(VENV)/.ready-worker
READY_BENCH := $(VENV)/.ready-bench
SOURCES := bot jobqueue workers tests examples bench logs.py run_audio_worker.py run_bot.py settings.py stopping.py worker_key.py

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv and install everything the bot, the demo and the tests need

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; this is $$($(PYTHON) --version 2>&1). Name one: make PYTHON=python3.12 setup"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || deploy/install-venv.sh
	$(PYTHON) -m venv $(VENV)

$(READY): requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

setup-worker: $(READY_WORKER)  ## the same for F5-TTS on a GPU machine: torch if there is none, then requirements-worker.txt

$(READY_WORKER): requirements-worker.txt | $(VENV)/bin/python
	$(BIN)/python -c 'import torch' 2>/dev/null \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' requirements-worker.txt)
	grep -v '^torch==' requirements-worker.txt \
		| $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r /dev/stdin
	@touch $@

demo: $(READY)  ## script in, MP4 out: make demo [SCRIPT=file] [IMAGES=folder] [SPEAK=hi|en]
	@$(BIN)/python examples/demo.py --script="$$SCRIPT" --images="$$IMAGES" --speak="$$SPEAK"

run: $(READY)  ## the bot, with the settings in .env
	@$(BIN)/python run_bot.py

worker: $(READY)  ## the audio worker; on the GPU machine, or beside the bot
	@$(BIN)/python run_audio_worker.py

worker-key: $(READY)  ## a key for one worker, shown once: make worker-key NAME=gpu-1; REVOKE=1 takes it away
	@$(BIN)/python worker_key.py $(if $(filter-out 0 no,$(REVOKE)),revoke,add) -- "$$NAME"

worker-keys: $(READY)  ## the keys of workers: names, since when, revoked or not
	@$(BIN)/python worker_key.py list

test: $(READY)  ## all tests but the long ones
	@$(BIN)/python -m pytest -q

explore: $(READY)  ## thousands of random lives of the queue, beside a model of it
	@$(BIN)/python -m pytest -q -m long --timeout 3600 tests/queue

fuzz: $(READY)  ## send the endpoint whatever its spec allows, and what it does not: make fuzz [FUZZ_EXAMPLES=200] [FUZZ_SEED=1]
	@$(BIN)/python -m pytest -q -m long tests/endpoint/test_spec.py

check: $(READY)  ## format, lint, types
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy $(SOURCES)

format: $(READY)  ## put the code into shape
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

bench: $(READY)  ## measure what the README claims
	@$(BIN)/python bench/first_video.py

bench-queue: $(READY) $(READY_BENCH)  ## the queue beside the disk's limit and other queues: make bench-queue [BENCH="--quick"]
	@$(BIN)/python -m bench.queues $(BENCH)

$(READY_BENCH): requirements-bench.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@

soak: $(READY)  ## ten minutes of workers and bots killed, stopped and cut off: nothing may be lost [SOAK_MINUTES=10]
	@$(BIN)/python -m tests.hardship.soak

powercut: $(READY)  ## cut the power of a disk under the queue, again and again; needs root and a loop device [CUTS=8]
	@$(BIN)/python -m tests.hardship.powercut

clean:  ## remove .venv, caches and the demo's files; your queue stays
	rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache .hypothesis tests/endpoint/fuzz/.schemathesis
