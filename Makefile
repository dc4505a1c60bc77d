# make demo [SEED=n]   the whole method on the embedded model and data; ends with runs/demo/summary.json
# make demo-easyvqa    the same on easy-VQA: 64×64 pictures and questions from a package; ends with runs/easyvqa-seed<n>
# make test            everything in tests/, and the doctests
# make picture         docs/report.png anew, of runs/demo (RUN=… for another run), taken by the browser test
# make lint            ruff and strict mypy
# make bench           what is measured in benchmarks/
# Each makes .venv first, unless it is up to date. VENV=… takes another folder, PYTHON=… another interpreter.

PYTHON ?= python3
VENV ?= .venv
SEED ?= 0

export OMP_WAIT_POLICY = PASSIVE

.PHONY: demo demo-easyvqa test picture lint bench environment

environment: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# Each seed has its own folder, so that two are never mixed and each can be interrupted and gone on with;
# runs/demo is a link to the latest.
demo: environment
	@mkdir -p runs
	@if [ -e runs/demo ] && [ ! -L runs/demo ]; then \
	    echo "runs/demo is a folder, not the link that make demo keeps there. Move it away: mv runs/demo runs/demo-old" >&2; \
	    exit 1; fi
	@ln -sfn demo-seed$(SEED) runs/demo
	$(VENV)/bin/mstar run configs/recipes/demo.yaml --seed $(SEED) --out runs/demo-seed$(SEED)

demo-easyvqa: environment
	@$(VENV)/bin/python -c 'import easy_vqa' 2>/dev/null || \
	    $(VENV)/bin/python -m pip install --quiet --constraint constraints.txt easy-vqa
	@mkdir -p data runs
	@ln -sfn "$$($(VENV)/bin/python -c 'import easy_vqa, os; print(os.path.dirname(easy_vqa.__file__))')/data" data/easy-vqa
	$(VENV)/bin/mstar run configs/recipes/easyvqa.yaml --seed $(SEED) --out runs/easyvqa-seed$(SEED)

test: environment
	$(VENV)/bin/python -m pytest

RUN ?= runs/demo
picture: environment
	$(VENV)/bin/python -m pytest tests/report/test_browser.py -k first_screen --picture-of $(RUN)

lint: environment
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: environment
	$(VENV)/bin/python -m benchmarks
