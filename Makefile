# brain-mri: `make help` lists what there is. Make holds the graph of the notebooks (nbs/graph.mk); papermill runs each of them.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3.11# used once, to create the environment
VENV ?= .venv# where the environment is
PROFILE ?= demo# a file of nbs/profiles: smoke, demo, laptop, paper
DATA ?=# folder with the real data sets, for laptop and paper
LIMIT ?=# keep at most this many images of each split of each data set
OVER ?=# a file of parameters that is laid over the profile, such as nbs/rehearsal.yaml
SEEDS ?=# for reproduce: also train with these seeds, and show mean and spread in Tables 3 and 4, such as "0 1 2"; 0 is the run itself
LAUNCH ?=# prefix of each notebook's command, such as "srun -n1 -c2"
NB ?=# for run: a notebook, such as 34_efficientnetv2_b3
SPEED ?= 10# for rehearse: million million operations a second that a GPU is assumed to sustain
PARAMS ?=# for run: changed parameters, such as "epochs=3 seed=1"
REPORTS ?= reports
RUNS ?= runs
SEED =# set by reproduce: one of SEEDS

TEXTS = PROFILE DATA LIMIT OVER SEEDS SEED NB SPEED PARAMS REPORTS RUNS# recipes read them as "$$DATA": whatever they hold stays text, $$(...) too
$(foreach name,$(TEXTS),$(eval override $(name) := $$(value $(name))))
export $(TEXTS)

override VENV := $(or $(strip $(VENV)),.venv)
PY := $(VENV)/bin/python
READY := $(VENV)/brain-mri-ready
OPTIONS = --profile "$$PROFILE" --reports "$$REPORTS" --runs "$$RUNS" $(if $(DATA),--data "$$DATA") \
          $(if $(LIMIT),--set "00_data.limit=$$LIMIT") $(if $(OVER),--over "$$OVER") $(if $(SEEDS),--seeds="$$SEEDS") $(if $(SEED),--seed="$$SEED")
MODELS = $(filter-out 14_% 36_%,$(filter 1% 3%,$(NODES)))# the models of Tables 3 and 4
TOOLS = $(wildcard tests/requirements.lock)
RUNNER = $(PY) -m brain_mri.runner

include nbs/graph.mk
NODES := $(shell sed -n 's/^\([0-9][0-9a-z_]*\):.*/\1/p' nbs/graph.mk)

.PHONY: help env reproduce rehearse weights run doctor status test test-slow test-slurm check lab export clean clean-notebooks lock $(NODES)

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile
	@awk 'BEGIN {FS = " \\?=# *| \\?= *[^#]*# *"} /^[A-Z]+ \?=.*#/ {printf "  %-9s %s\n", $$1, $$2}' Makefile
	@echo "  make NOTEBOOK, such as make 10_yolov8, runs one notebook and whatever it needs"

env: $(READY) ## create the environment in VENV from requirements.lock

$(READY): requirements.lock settings.ini setup.py $(TOOLS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || \
	  { echo "brain-mri needs Python 3.11, but $(PYTHON) is $$($(PYTHON) --version 2>&1 | head -n 1): install it, or pass PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Creating $(VENV) from requirements.lock (about 9 GB on Linux, a few minutes) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --requirement requirements.lock $(TOOLS:%=--requirement %)
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(PY) -m ipykernel install --sys-prefix --name brain-mri --display-name "Python (brain-mri)" >/dev/null
	@touch $@

reproduce: $(READY) ## run every notebook that is not fresh; tables, figures and index.md in reports/PROFILE
	@fresh=$$($(RUNNER) check $(OPTIONS)); s=$$?; [ $$s -ne 1 ] && exit $$s; \
	  for seed in $$SEEDS; do [ "$$seed" = 0 ] || $(MAKE) --keep-going $(MODELS) SEED="$$seed"; done; \
	  $(MAKE) --silent --keep-going $$fresh $(NODES) || true; $(RUNNER) summary $(OPTIONS)

RUN = $(RUNNER) run $@ $(OPTIONS)
# srun ends with 0 even when its node went down: confirm looks for the result, and an old failure must not answer for a new job
# exec: a signal to make then ends the notebook too
LAUNCHED = rm -f "$$RUNS/$$PROFILE$(if $(SEED),/seeds/$$SEED)/failed/$@.txt"; $(LAUNCH) $(RUN); $(RUNNER) confirm $@ $(OPTIONS)
$(NODES): $(READY)
	@$(if $(strip $(LAUNCH)),$(LAUNCHED),exec $(RUN))

REHEARSAL = runs/rehearsal
REHEARSE = $(PY) -m brain_mri.rehearsal --profile "$$PROFILE" --folder $(REHEARSAL) --speed "$$SPEED"
rehearse: $(READY) ## every notebook at the true sizes of PROFILE=paper on a few phantoms: seconds, memory, estimate of the full run
	@$(REHEARSE) prepare >/dev/null
	@$(MAKE) --keep-going $(NODES) OVER="$(REHEARSAL)/$$PROFILE.yaml" REPORTS=$(REHEARSAL)/reports RUNS=$(REHEARSAL)/runs DATA= LIMIT= SEEDS= || true
	@$(REHEARSE) show

weights: $(READY) ## fetch every published weight file that PROFILE needs into one cache, for runs without network
	@$(PY) -m brain_mri.weights --profile "$$PROFILE"

run: $(READY) ## your experiment: NB with PARAMS into reports/scratch, compared with the result of PROFILE
	@test -n "$$NB" || { echo 'expected a notebook, as in: make run NB=34_efficientnetv2_b3 PARAMS="epochs=3"' >&2; exit 1; }
	@needs=$$($(RUNNER) needs "$$NB" $(OPTIONS)) && $(MAKE) env $$needs
	@$(RUNNER) experiment "$$NB" $(OPTIONS) --params "$$PARAMS"

doctor: $(READY) ## is this computer ready for PROFILE and DATA? each answer OK or FAIL with the mend
	@$(PY) -m brain_mri.doctor --profile "$$PROFILE" --runs "$$RUNS" $(if $(DATA),--data "$$DATA")

status: $(READY) ## which notebooks are fresh, stale (and why), failed or missing
	@$(RUNNER) status $(OPTIONS)

test: $(READY) ## all tests but the two below, with an end-to-end run of the smoke profile
	@$(PY) -m pytest tests -m "not slow and not slurm"

test-slow: $(READY) ## kills, reruns and seeds: the smoke profile many times over (about half an hour)
	@$(PY) -m pytest tests -m slow --capture=no

test-slurm: $(READY) ## the smoke profile through a real Slurm on this computer; needs root and Debian's slurm-wlm and munge
	@$(PY) -m pytest tests -m slurm

check: $(READY) ## in seconds: generated files match the notebooks, notebooks are clean, requirements agree
	@$(PY) -m brain_mri.project check

lab: $(READY) ## JupyterLab on this computer only, with its token
	@$(VENV)/bin/jupyter lab --ServerApp.ip=127.0.0.1 --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/nbs

export: $(READY) ## write brain_mri/, tests/ and README.md from the notebooks
	@$(PY) -m brain_mri.project export

clean-notebooks: $(READY) ## remove outputs and stray metadata from nbs/
	@$(VENV)/bin/jupyter nbconvert --clear-output --inplace --log-level=ERROR nbs/*.ipynb nbs/solutions/*.ipynb
	@$(VENV)/bin/nbdev_clean

lock: ## refresh requirements.lock and tests/requirements.lock with the newest versions that settings.ini allows
	@d=$$(mktemp -d) && tools=$$(sed -n 's/==.*//p' $(TOOLS)) && $(PYTHON) -m venv $$d && $$d/bin/python -m pip install --quiet . && \
	  $$d/bin/python -m brain_mri.project lock > $$d/lock && $$d/bin/python -m pip install --quiet $$tools && \
	  { head -n 1 $(TOOLS); $$d/bin/python -m pip freeze | grep -E "^($$(echo $$tools | tr ' ' '|'))=="; } > $$d/tools && \
	  cp $$d/lock requirements.lock && cp $$d/tools $(TOOLS); s=$$?; rm -rf $$d build; exit $$s

clean: ## remove what runs left (weights, caches, smoke and scratch reports), not the environment or committed reports
	@rm -rf runs reports/smoke reports/scratch .pytest_cache build *.egg-info
	@find . -name __pycache__ -not -path './$(VENV)/*' -type d -prune -exec rm -rf {} +
