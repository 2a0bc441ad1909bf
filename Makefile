# ./run and ./test need nothing but a shell; what else there is to do is here.

.PHONY: lint format docs bench clean

ENVIRONMENT = . .ci/environment && environment .venv lint

lint: ## ruff, mypy, the layers, the generated pages
	@$(ENVIRONMENT) && set -e && export PATH="$$PWD/.venv/bin:$$PATH" \
	&& ruff check . && ruff format --check . && mypy && lint-imports --no-cache \
	&& "$$python" docs/generate.py --check

format: ## let ruff arrange the code
	@$(ENVIRONMENT) && .venv/bin/ruff check --fix . && .venv/bin/ruff format .

docs: ## write the tables in the pages anew, from the declarations in the code
	@$(ENVIRONMENT) && "$$python" docs/generate.py

bench: ## measure what the agent costs, beside others, and write docs/benchmarks.md (PART="scrape" for a part)
	@. .ci/environment && environment .venv test && for need in $(PEERS); do \
		command -v "$${need%%:*}" >/dev/null || install_packages "$${need##*:}" || say "not installed: $${need##*:}"; done \
	&& "$$python" tests/bench $(if $(PART),$(PART),--write)

PEERS = $(foreach each,pushgateway node-exporter mysqld-exporter postfix-exporter,prometheus-$(each):prometheus-$(each)) \
	collectd:collectd-core mariadbd:mariadb-server postfix:postfix

clean: ## remove everything that was made here
	rm -rf .venv .venv-distribution .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build *.egg-info
