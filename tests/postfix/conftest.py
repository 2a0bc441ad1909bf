"""The mail server, for all tests that need one."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from mail_server import MailServer


@pytest.fixture
def mail_servers():
    """Start mail servers: `mail_servers(more)`; they are ended afterwards."""
    started = []

    def start(more=""):
        if not shutil.which("postfix") or os.geteuid() != 0:
            pytest.skip("needs postfix and root")  # the marker says which, and fails in CI
        server = MailServer(Path(tempfile.mkdtemp(prefix="postfix-", dir="/tmp"), "instance"), more)
        server.root.parent.chmod(0o755)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.close()
        server.root.parent.rmdir()


@pytest.fixture
def mail(mail_servers):
    """Return a mail server that takes mail and delivers none."""
    return mail_servers()
