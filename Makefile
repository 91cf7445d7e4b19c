# Helfy's front door. Variables: PROFILE=tidb|lite, PROVIDER=virtualbox|libvirt|lxc, UNIT=a systemd unit,
# TIDB_TIUP_MIRROR=http://HOST:PORT, a mirror of TiUP's other than the official one.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.PHONY: audit help setup up down destroy status changes logs sql ssh lint test-fast test test-faults test-all docs bench bench-feed bench-login
export PROFILE PROVIDER PARTITIONS TIDB_TIUP_MIRROR
export BASH_ENV := $(CURDIR)/lab/env.sh

venv := .venv/bin
on = HELFY_QUIET=1 vagrant ssh $$(lab/vm name $(1)) --

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
setup: ## install on this machine what the lab needs
	@lab/setup control
up: ## bring the lab up; again: bring it up to date
	@lab/up
down: ## stop the VMs, keeping their data
	@HELFY_QUIET=1 vagrant halt
destroy: ## remove the VMs, their network and all their data
	@lab/destroy
status: ## say how each part is, and what to look at
	@lab/status
changes: ## follow the record of changes (end with Ctrl-C)
	@$(call on,consumer) -t sudo journalctl -u helfy-consumer -o cat -n 20 -f || test $$? -gt 128
logs: ## show the last lines of each part's journal, or of UNIT
	@$(call on,consumer) "LINES_SHOWN=$(or $(LINES_SHOWN),100) UNIT='$(UNIT)' bash -s" <lab/logs
sql: ## open an SQL prompt on the database; with MariaDB as helfy_operator
	@$(call on,tidb mariadb) $$([ ! -t 0 ] || echo -t) \
	  'sudo $$(systemctl -q is-enabled mariadb 2>/dev/null && echo -H -u helfy_operator) mariadb --table helfy' || { status=$$?; \
	  echo "docs/security.md, SQL by hand, says what make sql may do, and how root works" >&2; exit $$status; }
ssh: ## log in to the VM
	@$(call on,consumer)
lint: ## ruff, mypy, ansible-lint, yamllint, shellcheck
	@lab/setup test && tests/run lint
test-fast: ## lint and unit tests, under 2 minutes
	@lab/setup test && tests/run fast
test: ## what CI runs: lint, unit tests, a VM of its own with all tests on it
	@lab/setup test && tests/run ci
test-all: ## everything: that, what is too long for CI, and the faults
	@lab/setup test && tests/run all
test-faults: ## break a VM of its own in each way, and write docs/reliability.md; PARTITIONS=3 for three
	@lab/setup test && tests/run faults
audit: ## say what is known to be broken of what others wrote; AUDIT_URL=URL of another service than OSV's
	@lab/setup control && lab/audit
docs: ## generate the roles' READMEs and the list of captured columns
	@lab/setup test && $(venv)/python tests/meta/role_docs.py && $(venv)/python tests/meta/capture_docs.py
bench: ## measure the lab: commit to line, memory, first view of the page
	@lab/setup test && $(venv)/python tests/bench/commit_to_line.py && $(venv)/python tests/bench/memory.py && \
	  $(venv)/python tests/bench/first_view.py
bench-login: ## measure logins a second, and what a flood of them leaves
	@lab/setup test && $(venv)/python tests/bench/login.py
bench-feed: ## measure the live feed: a hundred viewers, logins beside them
	@lab/setup test && $(venv)/python tests/bench/feed.py
