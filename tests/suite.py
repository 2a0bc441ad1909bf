"""What all tests share: programs that must be there, who runs what, and a real agent as a child process."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import times
import trustme
from harness import RunningAgent, children, free_port, until
from hypothesis import settings
from scraping import Prometheus

# Named here as well as by its entry point: a checkout that was installed before that was there has none.
pytest_plugins = ["rscollector.pytest_plugin", "arrivals"]

IN_CI = os.environ.get("CI") == "true"
PLUGINS = Path(__file__).parent / "plugins"
SERVERS = (
    "dns",
    "galera",
    "mongodb",
    "postfix",
)  # each has servers that its tests share: one process runs them all
SHARED = ("tests/torture/test_strangers.py", "tests/web/browser/")  # they share an agent, or a browser
WORKERS = 2
QUARTERS = "1234"

settings.register_profile("patient", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("patient")


def pytest_addoption(parser):
    """Tests marked `long` run when they are asked for."""
    text = "which tests marked `long` run beside the others: one quarter of them, all, or none"
    parser.addoption("--long", choices=(*QUARTERS, "all", "none"), help=text)


def pytest_configure(config):
    """Count the time of each folder."""
    config.pluginmanager.register(times.Times())


def _by_name(config):
    return any("::" in argument for argument in config.args)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Run a test that is called by its name, or found by -k, in this process: there is nothing to share."""
    return 0 if _by_name(config) or config.option.keyword else WORKERS


def _folder(nodeid):
    return nodeid.split("/")[1]


def _together(nodeid):
    """Return what tests have in common that one process runs, "" for those that share nothing."""
    path = nodeid.partition("::")[0]
    shared = [each for each in SHARED if path.startswith(each)]
    return shared[0] if shared else _folder(nodeid) if _folder(nodeid) in SERVERS else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give all tests that share something to one process; the others go one by one to whoever has nothing to do."""
    from xdist.scheduler import LoadScopeScheduling

    assert LoadScopeScheduling._split_scope, "what is overridden here is there"

    class ByServers(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return _together(nodeid) or nodeid

    return ByServers(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Leave out what was not asked for; begin with what takes longest, in an order that is random otherwise."""
    left_out = {item for item in items if _is_packaging(item) and not _asks_for_packaging(config)}
    part = config.option.long or ("all" if _by_name(config) else "none")
    long = [item for item in items if item.get_closest_marker("long") and not _is_packaging(item)]
    long.sort(key=lambda item: (item.path, item.name))
    for number, item in enumerate(long):
        if part not in ("all", QUARTERS[number % len(QUARTERS)]):
            left_out.add(item)
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: (not _together(item.nodeid), item not in long))


def _is_packaging(item):
    return _folder(item.nodeid) == "packaging"


def _asks_for_packaging(config):
    """Tell whether they are called by their folder: they make hosts, as root, and run with `make packages`."""
    return any("tests/packaging" in argument for argument in config.args)


def _lacks(need):
    return os.geteuid() != 0 if need == "root" else shutil.which(need) is None


def pytest_runtest_setup(item):
    """Skip a test by the name of what is missing; in CI that is a failure."""
    needs = [need for marker in item.iter_markers("needs") for need in marker.args]
    missing = [need for need in needs if _lacks(need)]
    if missing and IN_CI:
        pytest.fail(f"not installed: {', '.join(missing)}", pytrace=False)
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


def pytest_terminal_summary(terminalreporter):
    """Say how many tests were skipped, and for which program."""
    reasons = Counter(
        need
        for report in terminalreporter.stats.get("skipped", [])
        if "Skipped: needs " in str(report.longrepr)
        for need in report.longrepr[2].removeprefix("Skipped: needs ").split(", ")
    )
    for need, count in sorted(reasons.items()):
        terminalreporter.line(f"{need} is missing: {count} tests skipped")


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

    def run(*arguments, timeout=90, **environment):
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
    left = [pid for pid in children(os.getpid()) if not _is_shared(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert left == []
