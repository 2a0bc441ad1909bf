# ./run and ./test need nothing but a shell; what else there is to do is here.

.PHONY: lint format docs picture bench deb packages everything clean

ENVIRONMENT = . .ci/environment && environment .venv lint

lint: ## ruff, mypy, the layers, the generated pages
	@$(ENVIRONMENT) && set -e && export PATH="$$PWD/.venv/bin:$$PATH" \
	&& ruff check . && ruff format --check . && mypy && lint-imports --no-cache \
	&& "$$python" docs/generate.py --check

format: ## let ruff arrange the code
	@$(ENVIRONMENT) && .venv/bin/ruff check --fix . && .venv/bin/ruff format .

docs: ## write the tables in the pages anew, from the declarations in the code
	@$(ENVIRONMENT) && "$$python" docs/generate.py

picture: ## take the picture of the page in README.md anew, from its test
	./test -n 0 tests/web/browser -k picture && cp build/screenshots/status-page.png docs

bench: ## measure what the agent costs, beside others, and write docs/benchmarks.md (PART="scrape" for a part)
	@. .ci/environment && environment .venv test && for need in $(PEERS); do \
		command -v "$${need%%:*}" >/dev/null || install_packages "$${need##*:}" || say "not installed: $${need##*:}"; done \
	&& "$$python" tests/bench $(if $(PART),$(PART),--write)

PEERS = $(foreach each,pushgateway node-exporter mysqld-exporter postfix-exporter,prometheus-$(each):prometheus-$(each)) \
	collectd:collectd-core mariadbd:mariadb-server postfix:postfix

deb: ## build the Debian package, into dist/, with what apt says that it needs
	@. .ci/environment && install_packages dpkg-dev build-essential >/dev/null; \
	rm -rf build/deb && mkdir -p build/deb/rscollector dist \
	&& { git ls-files -z --cached --others --exclude-standard 2>/dev/null || find . -type f -print0 \
		-not -path './.git/*' -not -path './.venv*' -not -path './.debian/*' -not -path './build/*' -not -path './dist/*'; } | xargs -0 cp --parents --target-directory=build/deb/rscollector \
	&& cd build/deb/rscollector && export PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	&& { dpkg-checkbuilddeps 2>/dev/null || apt-get -qq -y build-dep . ; } \
	&& dpkg-buildpackage -us -uc -b && cp ../*.deb ../*.changes ../*.buildinfo ../../../dist

packages: ## test the Debian package and the Ansible roles on hosts with a real systemd (as root)
	@. .ci/environment && install_packages mmdebstrap systemd-container openssh-client openssl \
	&& environment .venv test && environment .venv packages \
	&& PATH="$$PWD/.venv/bin:$$PATH" "$$python" -m pytest -n 2 --dist worksteal tests/packaging

everything: ## all that can be tested: all that takes long, with both sets of libraries, and the packages
	.ci/run everything

clean: ## remove everything that was made here
	rm -rf .venv .venv-distribution .venv-schemathesis .debian .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
