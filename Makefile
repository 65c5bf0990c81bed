# `make help` is the index. Every target does the set-up that it needs; a second run reuses it.
SHELL := /bin/bash
LIVESHELF := .venv/bin/liveshelf
PYTHON_ROOMS := liveshelf operators pipelines model_export storefront deploy benchmarks datasets tests
RATE ?= 100
ROUNDS ?= 4
BUNDLE := models/online-retail
WORK := .liveshelf/work
BENCHED := .liveshelf/bench

.DEFAULT_GOAL := help
.PHONY: bridge help setup train-deps demo test test-all test-fast test-secure faults soak drift fuzz lint format bench bench-run bench-keep against growth bundle schemas monitoring capacity reference docs locks down clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## .venv with the base install, Java, Maven, Prometheus
	@deploy/prepare.sh base

train-deps: ## adds torch and onnx to .venv (4.7 GB)
	@deploy/prepare.sh train

dev-deps:
	@deploy/prepare.sh dev

demo: setup ## the whole system on real orders; CHECK=1: bounded, verified, exit 0 or 1
	@$(LIVESHELF) demo --rate $(RATE) $(if $(CHECK),--check)

# the stack wants both cores; what needs none runs on both at once
WITHOUT_STACK := tests --ignore tests/stack --ignore tests/faults --numprocesses 2 --dist loadfile

test: dev-deps lint ## the quick tests, the last with the real broker, cluster and browser (about 10 minutes)
	@.venv/bin/python -m pytest $(WITHOUT_STACK) -m "not slow and not manual" $(ARGS)
	@.venv/bin/python -m pytest tests/stack tests/faults -m "not slow and not manual" $(ARGS)

test-all: dev-deps lint ## all tests but the manual ones (most faults, drift, soak); CI runs it (about 30 minutes)
	@CRASH_SCHEDULES=1000 .venv/bin/python -m pytest $(WITHOUT_STACK) -m "not manual" $(ARGS)
	@.venv/bin/python -m pytest tests/stack tests/faults -m "not manual" $(ARGS)

test-secure: dev-deps ## the tests of the stack on a broker with TLS, users and rights, and every way to be refused by one
	@SECURE_STACK=1 .venv/bin/python -m pytest tests/stack -m "not manual" --ignore tests/stack/security/test_secured_kafka.py \
		--ignore tests/stack/security/test_remote_cluster.py $(ARGS)
	@.venv/bin/python -m pytest tests/stack/security/test_secured_kafka.py $(ARGS)

faults: dev-deps ## every fault with its verdict into docs/faults.md (about 80 minutes)
	@rm -f .liveshelf-faults/rows.jsonl
	@FAULTS_RATE=500 .venv/bin/python -m pytest tests/faults -m "not soak" $(ARGS); status=$$?; .venv/bin/python -m tests.faults.matrix; exit $$status

soak: dev-deps ## 40 minutes of load, a live catalogue, erasures, hostile records: what grows? (SOAK_MINUTES=40 SOAK_RATE=1000)
	@.venv/bin/python -m pytest tests/faults -m soak -s $(ARGS)

drift: dev-deps ## drifts planted into real traffic against the alerts, a week in two minutes
	@.venv/bin/python -m pytest tests/stack/records/test_planted_drift.py -s $(ARGS)

fuzz: dev-deps ## the fuzzers, 5 minutes each
	@FUZZ_SECONDS=300 .venv/bin/python -m pytest tests/faults/test_fuzz.py $(ARGS)

test-fast: dev-deps ## the quick tests that need no stack
	@.venv/bin/python -m pytest $(WITHOUT_STACK) -m "not slow and not manual" $(ARGS)

lint: dev-deps ## ruff, mypy, import rules, dependencies
	@.venv/bin/ruff check $(PYTHON_ROOMS)
	@.venv/bin/ruff format --check -q $(PYTHON_ROOMS)
	@.venv/bin/mypy --no-error-summary
	@.venv/bin/lint-imports > .venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }
	@.venv/bin/deptry . 2> .venv/deptry.log || { cat .venv/deptry.log; exit 1; }

format: dev-deps ## formats the code
	@.venv/bin/ruff check -q --fix $(PYTHON_ROOMS) && .venv/bin/ruff format -q $(PYTHON_ROOMS)

bench: bench-run ## all benchmarks in a short form (six to seven minutes), beside the kept runs
	@$(LIVESHELF) bench compare benchmarks/results/short $(BENCHED)

bench-run: setup
	@$(LIVESHELF) up
	@$(LIVESHELF) bench short --keep $(BENCHED)/short.json
	@.venv/bin/python -c 'import torch, onnx' 2>/dev/null || { echo "without torch (make train-deps) scorer and training are not measured"; exit 0; }; \
		$(LIVESHELF) bench scorer --items 20000 --seconds 0.1 --keep $(BENCHED)/scorer.json && \
		$(LIVESHELF) bench train --items 2000 --keep $(BENCHED)/train.json

bench-keep: train-deps ## purges the stack, runs the short form three times and keeps all (20 minutes); nothing else may run
	@rm -rf benchmarks/results/short
	@for run in 1 2 3; do $(LIVESHELF) down --purge > /dev/null 2>&1; \
		$(MAKE) --no-print-directory bench-run BENCHED=benchmarks/results/short/$$run || exit 1; done

against: setup ## throughput and freshness of this checkout and of REV=…, in turns (ROUNDS=4, 5 minutes each); nothing else may run
	@$(LIVESHELF) bench against $(REV) --rounds $(ROUNDS)

growth: dev-deps ## what more users and items cost, measured and drawn (about 45 minutes)
	@$(LIVESHELF) up
	@$(LIVESHELF) bench state --users 20000,200000,1000000,2000000,5000000 --events 60000 --keep benchmarks/results/growth/state.json
	@$(LIVESHELF) bench catalogues --items 1000,20000,100000 --keep benchmarks/results/growth/catalogues.json
	@$(LIVESHELF) down
	@$(LIVESHELF) bench scorer --items 1000,20000,100000,1000000 --keep benchmarks/results/growth/scorer.json
	@.venv/bin/python -m benchmarks.pages.growth docs/images/growth.png

bundle: train-deps ## trains the demo's bundle anew (about 10 minutes on 2 cores)
	@mkdir -p $(WORK)
	@.venv/bin/python -m model_export.data.online_retail $(WORK)
	@$(LIVESHELF) train --events $(WORK)/orders.jsonl --catalogue $(WORK)/catalogue.jsonl --out $(BUNDLE) \
		--name online-retail --test-from 1320796800000 --settings model_export/tuned/online-retail.toml

schemas: setup ## docs/schemas/ from the contracts
	@.venv/bin/python -m liveshelf.pages.json_schemas docs/schemas

monitoring: dev-deps ## docs/metrics.md, Prometheus' rules and Grafana's dashboards from the code
	@mkdir -p .liveshelf # whose disk is one of the metrics
	@.venv/bin/python -m liveshelf.pages.metrics_page docs/metrics.md
	@.venv/bin/python -m deploy.monitoring.rules deploy/monitoring/liveshelf.rules.yml
	@.venv/bin/python -m deploy.monitoring.runbook docs/operate.md
	@.venv/bin/python -m deploy.monitoring.dashboards deploy/monitoring/grafana

capacity: setup ## docs/scale.md from the kept results
	@.venv/bin/python -m benchmarks.pages.capacity docs/scale.md

bridge: setup ## the Java half of the job, pipelines/job/bridge/liveshelf-bridge.jar, by Maven
	@mvn -q -B --strict-checksums -f pipelines/job/bridge/pom.xml clean package -Dflink=$$(.venv/bin/python -c 'import pathlib, pyflink; print(pathlib.Path(pyflink.__file__).parent)')
	@cp pipelines/job/bridge/target/liveshelf-bridge.jar pipelines/job/bridge/

reference: setup ## docs/cli.md and docs/python.md from the code
	@.venv/bin/python -m liveshelf.pages.cli_page docs/cli.md
	@.venv/bin/python -m liveshelf.pages.api_page docs/python.md

docs: dev-deps reference ## the pages of docs/ as a site that needs no network: open site/index.html
	@NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build

locks: ## requirements/*.lock anew (needs uv)
	@for kind in dev train base; do \
		extras=$$(case $$kind in dev) echo --extra train --extra report --extra tune --extra tracing --extra text --extra dashboards --extra docs --extra dev;; train) echo --extra train;; esac); \
		uv pip compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --python-version 3.11 \
			pyproject.toml $$extras $$( [ $$kind = dev ] || echo -c requirements/dev.lock) -o requirements/$$kind.lock; done

down: ## stops the local stack
	@$(LIVESHELF) down

clean: ## stops the stack and removes its data, site/ and .venv
	@[ ! -x $(LIVESHELF) ] || $(LIVESHELF) down --purge
	@rm -rf .venv .liveshelf site
