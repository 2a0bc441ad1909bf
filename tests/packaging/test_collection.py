"""The Ansible collection itself, without a host."""

import os
import shutil
import tarfile

import pytest
from hosts import ROOT, run

pytestmark = [pytest.mark.needs("ansible-lint"), pytest.mark.timeout(300)]


def test_the_collection_is_as_ansible_lint_wants_it(tmp_path):
    """By its strictest profile; and it can be built, its links included."""
    namespace = tmp_path / "ansible_collections" / "rscollector"
    shutil.copytree(ROOT / "ansible", namespace / "agent")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path), "LC_ALL": "C.UTF-8"}
    command = ["ansible-lint", "--offline", "--profile", "production", "--nocolor"]
    run(*command, cwd=namespace / "agent", env=environment)
    run(
        "ansible-galaxy",
        "collection",
        "build",
        "--output-path",
        tmp_path,
        cwd=ROOT / "ansible",
        env=environment,
    )
    (built,) = tmp_path.glob("rscollector-agent-*.tar.gz")
    with tarfile.open(built) as content:
        rules = content.extractfile("roles/rscollector_prometheus/files/vip.alerts.yml").read()
    assert rules == (ROOT / "collectors" / "vip" / "alerts.yml").read_bytes()
