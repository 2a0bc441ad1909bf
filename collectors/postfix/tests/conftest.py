"""The mail server, for all tests that need one."""

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from scenes import place_for

from collectors.postfix.tests.mail_server import MailServer


@pytest.fixture(scope="session")
def shared_mail_server():
    """Make a mail server once; who has it begins with empty queues."""
    if not shutil.which("postfix") or os.geteuid() != 0:
        pytest.skip("needs postfix and root")  # the marker says which, and fails in CI
    with TemporaryDirectory(prefix="postfix-", dir="/tmp") as directory, place_for("postfix") as queues:
        Path(directory).chmod(0o755)
        server = MailServer(Path(directory, "0"), queues / "0")
        yield server
        server.close()


@pytest.fixture
def mail_servers(shared_mail_server):
    """Start mail servers: `mail_servers(more)`; the first is the shared one."""
    first, given = shared_mail_server, []

    def start(more=""):
        name = str(len(given))
        own = [path.with_name(name) for path in (first.root, first.queue)]
        given.append(MailServer(*own, like=first) if given else first)
        given[-1].begin(more)
        return given[-1]

    yield start
    first.end()
    for server in given[1:]:
        server.close()


@pytest.fixture
def mail(mail_servers):
    """Return a mail server that takes mail and delivers none."""
    return mail_servers()
