# ./run and ./test need nothing but a shell; what else there is to do is here.

.PHONY: lint format docs clean

ENVIRONMENT = . .ci/environment && environment .venv lint

lint: ## ruff, mypy, the layers, the generated pages
	@$(ENVIRONMENT) && set -e && export PATH="$$PWD/.venv/bin:$$PATH" \
	&& ruff check . && ruff format --check . && mypy && lint-imports --no-cache \
	&& "$$python" docs/generate.py --check

format: ## let ruff arrange the code
	@$(ENVIRONMENT) && .venv/bin/ruff check --fix . && .venv/bin/ruff format .

docs: ## write the tables in the pages anew, from the declarations in the code
	@. .ci/environment && environment .venv "" && "$$python" docs/generate.py

clean: ## remove everything that was made here
	rm -rf .venv .venv-distribution .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build *.egg-info
