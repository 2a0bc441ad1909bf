"""What all tests share: programs that must be there, and a real agent as a child process."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from harness import RunningAgent, free_port, until
from scraping import Prometheus

IN_CI = os.environ.get("CI") == "true"
PLUGINS = Path(__file__).parent / "plugins"
_missing: dict[str, int] = {}


def _lacks(need):
    if need == "root":
        return os.geteuid() != 0
    return shutil.which(need) is None


def pytest_runtest_setup(item):
    """Skip a test by the name of what is missing; in CI that is a failure."""
    needs = [need for marker in item.iter_markers("needs") for need in marker.args]
    missing = [need for need in needs if _lacks(need)]
    if missing and IN_CI:
        pytest.fail(f"not installed: {', '.join(missing)}", pytrace=False)
    for need in missing:
        _missing[need] = _missing.get(need, 0) + 1
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


def pytest_unconfigure():
    """Let the last line say how many tests were skipped, and why."""
    if _missing:
        reasons = ", ".join(f"{need} is missing ({count})" for need, count in sorted(_missing.items()))
        print(f"skipped {sum(_missing.values())} tests: {reasons}")


@pytest.fixture
def agent(tmp_path):
    """Start agents on configurations: `agent(toml, *arguments)`; they are stopped at the end."""
    running = []

    def start(toml="", *arguments, wait=True, prefix=(), interpreter=sys.executable, **environment):
        directory = tmp_path / f"agent-{len(running)}"
        started = RunningAgent(directory, toml, arguments, PLUGINS, environment, prefix, interpreter)
        running.append(started)
        if wait:
            until(started.ready)
        return started

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def rscollector(tmp_path):
    """Run a command to its end: `rscollector("check", …)` returns the completed process, output as text."""

    def run(*arguments, timeout=30, **environment):
        env = {
            **os.environ,
            "PYTHONPATH": str(PLUGINS),
            "RUNTIME_DIRECTORY": str(tmp_path / "run"),
            **environment,
        }
        command = [sys.executable, "-m", "rscollector.cli.main", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env, check=False)

    return run


@pytest.fixture
def authorities(tmp_path):
    """Return a directory with two authorities, `ca.pem` and `other.pem`, and what ours signed: keys and chains.

    `server.pem` is for localhost, `client.pem` for whoever wants to be let in.
    """
    ours, other = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(tmp_path / "ca.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    for name in ("server", "client"):
        ours.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / f"{name}.pem")
    return tmp_path


@pytest.fixture(scope="session")
def shared_prometheus(tmp_path_factory):
    """Start a Prometheus once, for it needs five seconds to find what it scrapes: whoever listens at `target`."""
    started = Prometheus(tmp_path_factory.mktemp("prometheus"), f"127.0.0.1:{free_port()}")
    yield started
    started.stop()


def _is_shared(pid):
    try:
        return b"RSCOLLECTOR_TEST_SERVER=1" in Path(f"/proc/{pid}/environ").read_bytes()
    except ProcessLookupError:  # a zombie
        return False


@pytest.fixture(autouse=True)
def _no_child_left():
    """Every test ends without a child process and without a zombie of its own, but for the servers it shares."""
    yield
    left = []
    for path in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        left += [int(pid) for pid in path.read_text().split() if not _is_shared(int(pid))]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert left == []
