# SPDX-License-Identifier: Apache-2.0
# Every target sets up what it needs in .venv; nothing outside the repository is touched.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check audit golden references mutants planted train bench examples lint docs clean
PYTHON := .venv/bin/python
TIDEGATE := .venv/bin/tidegate
PYTEST := $(PYTHON) -m pytest
ROBOT ?= car
CONFIG := $(firstword $(wildcard config/$(ROBOT).yaml examples/$(ROBOT)/$(ROBOT).yaml))
# two cores do more with three at a time: some tests wait
SIDE_BY_SIDE := -n 3 --dist loadfile
export MUJOCO_GL ?= egl

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: ## build .venv with everything (training and tests too)
	@scripts/setup.sh all

demo: ## drive one lap with the real node graph; writes out/demo
	@scripts/setup.sh live
	@$(TIDEGATE) demo --out out/demo

test: setup ## the test suite (under 10 minutes on 2 cores); what runs in real time comes last, alone
	@status=0; $(PYTEST) -m "not slow and not real_time" $(SIDE_BY_SIDE) || status=1; \
	$(PYTEST) -m "not slow and real_time" tests/nodes tests/launch || status=1; exit $$status

check: setup lint ## everything slow: sweeps, soak, closed loops (under an hour); every line of the safety room is tested
	@for tool in aarch64-linux-gnu-gcc arm-linux-gnueabihf-gcc qemu-aarch64 qemu-arm; do command -v $$tool > /dev/null || \
	echo "no $$tool: tests of the exported C on Arm skip; type: apt-get install gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf qemu-user"; done
	@status=0; $(PYTEST) tests/safety tests/robot $(SIDE_BY_SIDE) --cov --cov-fail-under=100 || status=1; \
	$(PYTEST) -m "not real_time" $(SIDE_BY_SIDE) --ignore=tests/safety --ignore=tests/robot || status=1; \
	$(PYTEST) -m real_time tests/nodes tests/launch || status=1; exit $$status

audit: setup ## known faults of what is installed, by pip-audit (needs the network)
	@$(PYTHON) scripts/audit.py

planted: setup ## faults that a person could make, over the whole path: does a test notice? writes docs/planted.md (an hour; resumable)
	@$(PYTHON) scripts/planted.py --write

golden: setup ## record the golden bags of tests/golden anew, and their references (after a new models/car-ltc19)
	@rm -rf out/golden tests/golden && mkdir -p tests/golden
	@$(TIDEGATE) evaluate --scene road --seeds 1003 --seconds 2.5 --record --out out/golden
	@$(TIDEGATE) attack --scenes traffic --adversaries full_throttle --seeds 1003 --sensors exact --seconds 8 --from-speed 0 --worst 1 --out out/golden
	@mv out/golden/bags/road-1003 tests/golden/road && mv out/golden/bags/*full_throttle* tests/golden/traffic
	@$(MAKE) --no-print-directory references

references: ## what the code makes of the golden bags becomes what it is expected to make (after a change that is meant)
	@for bag in tests/golden/*/; do $(TIDEGATE) replay $$bag --update-reference || exit 1; done

mutants: setup ## small faults put into the safety room one by one: does a test notice? (hours; resumable)
	@$(PYTHON) scripts/mutate.py --write

train: setup ## from nothing to models/car-ltc19 (at most 30 minutes on 2 cores); ROBOT=buggy: to models/buggy-ltc19
	@test -n "$(CONFIG)" || { echo "no settings of robot '$(ROBOT)': neither config/$(ROBOT).yaml nor examples/$(ROBOT)/$(ROBOT).yaml"; exit 1; }
	@$(TIDEGATE) train --from-scratch --config $(CONFIG) --out models/$(ROBOT)-ltc19 --work out/train/$(ROBOT)

bench: setup ## the tables of docs/results.md
	@$(PYTHON) benchmarks/run.py

examples: setup ## BarrierNet's published cases and a zoo of time series; writes docs/barriernet.md and docs/zoo.md
	@$(PYTHON) examples/barriernet/run.py
	@$(PYTHON) -m examples.liquid.run

lint: setup ## ruff and mypy
	@$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check . && $(PYTHON) -m mypy && $(PYTHON) -m mypy examples/barriernet && $(PYTHON) -m mypy -p examples.liquid && $(PYTHON) -m mypy examples/own_barrier/src examples/own_barrier/drive.py

docs: setup ## the pages that are made from the code
	@$(TIDEGATE) settings --markdown > docs/settings.md
	@$(TIDEGATE) security > config/sros2_policy.xml
	@$(PYTHON) scripts/versions.py > docs/versions.md
	@$(PYTHON) scripts/ros_page.py > docs/ros.md.new && mv docs/ros.md.new docs/ros.md

clean: ## remove what was made, .venv included
	rm -rf .venv out build install log dist src/*.egg-info src/tidegate/liquid/*.so .pytest_cache .mypy_cache .ruff_cache .hypothesis
