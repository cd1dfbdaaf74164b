# Careloop's verbs. Needs make, git and one Python 3.11 or newer; everything else is installed into .venvs/.
# Works with GNU make 3.81 (macOS) as well.

# PYTHON=… chooses the interpreter; otherwise the first that really runs (a pyenv shim may exist and fail).
PYTHON ?=
PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3.14 python3)
DEV := .venvs/dev/bin/python
SAM := .venvs/sam/bin/sam
export SAM_CLI_TELEMETRY := 0

.DEFAULT_GOAL := help
.PHONY: help demo test up down intake patient sweep self-test resume dashboard doctor restore archive unarchive build check catalogues hooks audit sbom bench

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venvs/dev/ready .venvs/ministack/ready ## A sample practice on this machine, to look at and click through
	@$(DEV) -m local.demo

test: .venvs/dev/ready .venvs/ministack/ready .venvs/sam/ready .venvs/judges/ready .venvs/audit/ready ## Run every test; installs a browser if there is none
	@$(DEV) -m local.browser
	@$(DEV) -m local.judges
ifeq ($(PYTEST),)
	@$(DEV) -m pytest --numprocesses 2 --dist loadfile tests/template tests/unit tests/handlers tests/faults tests/privacy tests/hostile tests/documents
	@$(DEV) -m pytest --numprocesses 2 --dist loadfile tests/build tests/upgrade tests/mail_judges tests/integration tests/e2e
else
	@$(DEV) -m pytest $(PYTEST)
endif

up: .venvs/dev/ready .venvs/ministack/ready ## Deploy the stack to this machine: make up PARAMETERS='SurveyDelayHours=0 …'
	@$(DEV) -m local.stack up

down: .venvs/dev/ready ## End what `make up` started
	@$(DEV) -m local.stack down

intake: .venvs/dev/ready ## See what a file would do: make intake FILE=visits.csv [IMPORT=yes] [STACK=name in AWS]
	@$(DEV) -m local.intake "$(FILE)" $(if $(IMPORT),--import "$(IMPORT)") $(if $(STACK),--stack "$(STACK)")

sweep: .venvs/dev/ready ## Find and do what was left behind: alerts, imports, claimed mail … [STACK=name in AWS]
	@$(DEV) -m local.sweep $(if $(STACK),--stack "$(STACK)")

self-test: .venvs/dev/ready ## Send a made-up patient all the way from survey to figures, now [STACK=name in AWS]
	@$(DEV) -m local.self_test $(if $(STACK),--stack "$(STACK)")

resume: .venvs/dev/ready ## Let sending to patients go on after it stopped itself [STACK=name in AWS]
	@$(DEV) -m local.resume $(if $(STACK),--stack "$(STACK)")

doctor: .venvs/dev/ready ## Look whether a stack is as it should be, and say what to do: make doctor [STACK=name in AWS] [JSON=yes]
	@$(DEV) -m local.doctor $(if $(STACK),--stack "$(STACK)") $(if $(JSON),--json)

dashboard: .venvs/dev/ready ## Put figures and alarms on a page of the CloudWatch console [STACK=name in AWS]
	@$(DEV) -m local.cloudwatch $(if $(STACK),--stack "$(STACK)")

patient: .venvs/dev/ready ## On a patient's request: make patient NUMBER=… EXPORT=file.json, ERASE=patient [SURE=yes] or RETURNS=yes
	@$(DEV) -m local.patient $(if $(NUMBER),"$(NUMBER)") $(if $(EXPORT),--export "$(EXPORT)") \
	  $(if $(ERASE),--erase "$(ERASE)") $(if $(SURE),--sure "$(SURE)") $(if $(RETURNS),--returns) $(if $(AGAIN),--again) \
	  $(if $(STACK),--stack "$(STACK)")

restore: .venvs/dev/ready ## Restore a stack as it was into an empty one: make restore FROM=… TO=… AT=…Z [REHEARSAL=yes INVITE=yes]
	@$(DEV) -m local.backup "$(FROM)" "$(TO)" "$(AT)" $(if $(REHEARSAL),--rehearsal) $(if $(INVITE),--invite) \
	  $(if $(filter unknown,$(SENT)),--sent-unknown)

archive: .venvs/dev/ready ## Everything as files in open formats: make archive TO=folder [STACK=name in AWS]
	@$(DEV) -m local.archive "$(TO)" $(if $(STACK),--stack "$(STACK)")

unarchive: .venvs/dev/ready ## Bring an archive into an empty stack: make unarchive FROM=folder [STACK=name in AWS]
	@$(DEV) -m local.unarchive "$(FROM)" $(if $(STACK),--stack "$(STACK)")

build: .venvs/sam/ready ## Build what `sam deploy` uploads
	@$(SAM) build
	@.venvs/sam/bin/python infra/build.py

catalogues: .venvs/dev/ready ## Bring the languages' catalogues up to date, and say what is missing or wrong
	@$(DEV) -m local.catalogues

check: .venvs/dev/ready .venvs/sam/ready .venvs/checkov/ready ## Lint, types, import contracts, the template's lint and weaknesses
	$(DEV) -m ruff check .
	$(DEV) -m ruff format --check .
	$(DEV) -m mypy
	.venvs/dev/bin/lint-imports
	$(DEV) -m local.catalogues --check
	.venvs/sam/bin/cfn-lint infra/template.yaml
	$(SAM) validate --lint
	.venvs/checkov/bin/python .venvs/checkov/bin/checkov --config-file .checkov.yaml

hooks: .venvs/hooks/ready .venvs/dev/ready .venvs/sam/ready ## Run what is quick of `make check` before each commit
	@.venvs/hooks/bin/pre-commit install

audit: .venvs/audit/ready .venvs/judges/ready .venvs/dev/ready ## Ask whether anything is known against what is pinned; fails where nobody answers
	@$(DEV) -m local.audit

sbom: .venvs/dev/ready ## Write the bill of materials of what is deployed, as CycloneDX
	@$(DEV) -m infra.sbom

# Bench processes must not differ by what happens to be compiled already, nor write .pyc files while they are timed.
bench: .venvs/bench/ready .venvs/ministack/ready .venvs/sam/ready ## Measure against targets and floors, write docs/performance.md: make bench [ONLY=growth]
	@.venvs/bench/bin/python -m compileall -q functions shared bench
	@.venvs/bench/bin/python -m bench $(ONLY)

# Called by `sam build`, once for every function of the template; needs a Python with pip and nothing else.
build-%:
	@for python in $(PYTHONS); do \
	  $$python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	    && exec $$python infra/build.py "$(ARTIFACTS_DIR)"; \
	done; \
	echo "No Python 3.11 or newer with pip among: $(PYTHONS). Install one, or name it: make PYTHON=…" >&2; \
	exit 1

# A venv for each set of pins: SAM and ministack pin their own botocore. The pins are complete, so pip has
# nothing to resolve (--no-deps; its hash mode also stumbles over pinned extras).
.venvs/%/ready: requirements/%.txt
	@for python in $(PYTHONS); do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	  $$python -c 'import ensurepip, venv' >/dev/null 2>&1 || { lacking=$$python; continue; }; \
	  echo "Installing $@ with $$python ($$($$python -c 'import sys; print(sys.version.split()[0])'))"; \
	  rm -rf .venvs/$*; \
	  $$python -m venv .venvs/$* \
	    && .venvs/$*/bin/python -m pip install -qq --disable-pip-version-check --no-input \
	         --no-deps --require-hashes -r $< \
	    && touch $@; \
	  exit $$?; \
	done; \
	if [ -n "$$lacking" ]; then \
	  echo "$$lacking cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	else \
	  echo "No Python 3.11 or newer among: $(PYTHONS). Install one, or name it: make PYTHON=/path/to/python" >&2; \
	fi; \
	exit 1
.PRECIOUS: .venvs/%/ready
