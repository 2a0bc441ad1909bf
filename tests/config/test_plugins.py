"""What plugins can do to the process that reads the configuration: nothing, and to others' instances nothing."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from harness import until
from rogues import install

from rscollector.config import plugins
from rscollector.config.forked import forked
from rscollector.config.load import load
from rscollector.config.types import Feed

MODULES = {
    "well": "",
    "hangs": "import time\ntime.sleep(3600)\n",
    "crashes": "import ctypes\nctypes.string_at(0)\n",
    "exits": "import os\nos._exit(0)\n",
    "raises": "raise KeyboardInterrupt\n",
    "floods": "import os\nos.system('yes | head -c 1000000')\n",
    "leaves": "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,)).start()\n",
    "forks": "import os, time\nif os.fork() == 0:\n    time.sleep(3600)\n",
    "spies": "import os\nassert 'HIDDEN' not in os.environ\n",
}
PLUGIN = """
from dataclasses import dataclass
from rscollector.api import Collector, Kind, Metric, Secret, setting

@dataclass(frozen=True)
class Settings:
    size: int = setting("A number.", default=1)
    password: Secret | None = setting("A secret.", default=None)
    def __post_init__(self):
        if self.size == 13:
            raise RuntimeError("no luck")
        if self.size == 15:
            raise RuntimeError("no\\n\\x1b[2Jluck")

class Plugin(Collector):
    metrics = (Metric("odd_{name}_size", Kind.GAUGE, "A number."),)
    Settings = Settings

    def collect(self, context):
        return ()
"""


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """Install a package with one collector for each of the modules above; `odd(toml)` loads a configuration."""
    texts = {f"odd_{name}": text + PLUGIN.replace("{name}", name) for name, text in MODULES.items()}
    install(tmp_path / "site", "odd_plugins", {name: f"{name}:Plugin" for name in texts}, texts)
    monkeypatch.syspath_prepend(tmp_path / "site")

    def loaded(toml):
        path = tmp_path / "rscollector.toml"
        path.write_text(toml)
        return load(path)

    return loaded


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("hangs", "took more than 2 s, killed when it was imported"),
        ("crashes", "was killed by SIGSEGV when it was imported"),
        ("exits", "exited with status 0 when it was imported"),
        ("raises", "exited with status 1 when it was imported"),
    ],
)
def test_a_plugin_that_does_not_come_back_costs_its_own_instances_only(odd, monkeypatch, name, reason):
    """Their tables go to their workers as they are, with what may be a secret; the others are built."""
    monkeypatch.setattr(plugins, "_SECONDS", 2.0)
    monkeypatch.setenv("HIDDEN", "hunter2")
    loaded = odd(
        f"[collector.odd_{name}.a]\nsize = 5\npassword = {{ env = 'HIDDEN' }}\nwhen = 2026-01-01\ninterval = '5s'\n"
        f"[collector.odd_well.b]\nsize = 2\n"
    )
    assert [each.split(": ", 2)[1:] for each in loaded.problems] == [
        [f"collector.odd_{name}.a", f"the plugin 'odd_{name}' (odd_{name}:Plugin) {reason}"]
    ]
    bad, good = loaded.config.specs
    assert bad.settings == {"size": 5, "password": {"env": "HIDDEN"}, "when": "2026-01-01"}
    assert (bad.variables, bad.interval, bad.worker) == ({"HIDDEN": "hunter2"}, 5, f"odd_{name}/a")
    assert bad.unknown.endswith(reason)
    assert not good.unknown
    assert good.settings == {"size": 2}


@pytest.mark.parametrize("name", ["floods", "leaves", "forks", "spies"])
def test_a_plugin_may_print_and_leave_threads_and_children(odd, monkeypatch, capfd, name):
    """None of that is waited for, printed for others, or alive afterwards; our environment is not shown to it."""
    monkeypatch.setenv("HIDDEN", "hunter2")
    monkeypatch.setattr(plugins, "_SECONDS", 60.0)
    began = time.monotonic()
    loaded = odd(f"[collector.odd_{name}.a]\n[collector.odd_well.b]\n")
    assert (loaded.mistakes, loaded.problems) == ((), ())
    assert time.monotonic() - began < 50
    assert capfd.readouterr().out == ""


def test_what_a_plugin_says_of_settings_is_one_line_without_control_characters(odd):
    """The agent logs it, and tells it after a reload."""
    (spec,) = odd("[collector.odd_well.a]\nsize = 15\n").config.specs
    assert spec.unknown == "its settings are wrong: RuntimeError: no luck"


def test_settings_that_raise_are_the_problem_of_their_instance(odd):
    """Of one plugin's instances only that one."""
    loaded = odd("[collector.odd_well.a]\nsize = 13\n[collector.odd_well.b]\nsize = 14\n")
    assert [each.partition("toml:")[2] for each in loaded.problems] == [
        "1: collector.odd_well.a: its settings are wrong: RuntimeError: no luck"
    ]
    assert [each.settings["size"] for each in loaded.config.specs] == [13, 14]


def test_a_sink_of_which_nothing_is_known_is_given_runs(tmp_path):
    """What others collect is kept for it until its plugin can be imported."""
    asked = plugins.Asked("x", "no_such_module:X", {("sink", "x", "a"): {}})
    assert plugins.ask({"sink.x": asked})["sink.x"].feed is Feed.RUNS


def test_the_registry_is_asked_once(odd, monkeypatch):
    """Reading all packages' metadata takes a millisecond for each of them."""
    import importlib.metadata

    asked = []
    distributions = importlib.metadata.distributions
    monkeypatch.setattr(
        importlib.metadata, "distributions", lambda **given: asked.append(given) or distributions(**given)
    )
    loaded = odd("".join(f"[collector.odd_well.n{number}]\n" for number in range(100)))
    assert len(loaded.config.specs) == 100
    assert len(asked) == 1


def test_a_package_with_broken_metadata_is_none_of_ours(odd, tmp_path):
    """Half an installation, bytes that are no text, a directory without a name: ours are found all the same."""
    for name, content in (("half", b"[console_scripts]\nhal"), ("bytes", b"\xff\xfe"), ("", b"[x]\n")):
        info = tmp_path / "site" / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_bytes(content)
    assert [spec.key for spec in odd("[collector.odd_well.a]\n").config.specs] == ["odd_well/a"]


# --- forked -------------------------------------------------------------------------------------------


def test_each_task_tells_what_it_has_told_however_it_ends():
    """What was told before an end is kept, and how it ended is said; none waits for another."""

    ours = descriptors()

    def well(tell):
        tell({"a": [1, "x" * 100_000]})
        tell(None)

    def half(tell):
        tell("half")
        os.kill(os.getpid(), 11)

    def slow(tell):
        tell("slow")
        time.sleep(3600)

    def silent(_tell):
        pass

    def raising(_tell):
        raise ValueError("no")

    def writing(tell):
        for pipe in descriptors() - ours:
            with suppress(OSError):
                os.write(pipe, b"what?\n")
        tell("never read")

    outcomes = forked({each.__name__: each for each in (well, half, slow, silent, raising, writing)}, 2.0)
    assert outcomes == {
        "well": ([{"a": [1, "x" * 100_000]}, None], ""),
        "half": (["half"], "was killed by SIGSEGV"),
        "slow": (["slow"], "took more than 2 s, killed"),
        "silent": ([], ""),
        "raising": ([], "exited with status 1"),
        "writing": ([], "told what cannot be read, killed"),
    }


def test_children_that_cannot_be_started_are_told_of_and_the_others_work(monkeypatch):
    """No process and no descriptor may be left; what was begun is ended."""
    forks = iter([OSError(11, "Resource temporarily unavailable"), None])
    fork = os.fork

    def failing():
        if error := next(forks):
            raise error
        return fork()

    monkeypatch.setattr(os, "fork", failing)
    before = descriptors()
    outcomes = forked({"a": lambda tell: tell(1), "b": lambda tell: tell(2)}, 60.0)
    assert outcomes == {
        "a": ([], "could not be started: Resource temporarily unavailable"),
        "b": ([2], ""),
    }
    assert descriptors() == before


def test_children_that_hang_are_waited_for_together():
    """Ten of them take as long as one; a signal without a name is a number."""
    began = time.monotonic()
    tasks = {str(number): lambda _tell: time.sleep(3600) for number in range(10)}
    outcomes = forked({**tasks, "dies": lambda _tell: os.kill(os.getpid(), 40)}, 1.0)
    assert time.monotonic() - began < 8
    assert outcomes.pop("dies") == ([], "was killed by signal 40")
    assert {each.ended for each in outcomes.values()} == {"took more than 1 s, killed"}


def test_a_child_dies_with_its_parent(tmp_path):
    """The process that reads the configuration may be killed itself."""
    file = tmp_path / "pid"
    task = f"lambda tell: (open({str(file)!r}, 'w').write(str(os.getpid())), time.sleep(3600))"
    script = f"import os, time; from rscollector.config.forked import forked; forked({{'a': {task}}}, 3600.0)"
    parent = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", script])
    pid = until(lambda: file.exists() and file.read_text())
    os.kill(parent, 9)
    os.waitpid(parent, 0)
    until(lambda: not _runs(pid))


def test_what_a_child_has_started_is_killed_with_it(tmp_path):
    """A grandchild that holds the pipe is not waited for, and is gone."""

    def fork(tell):
        pid = os.fork()
        if pid == 0:
            time.sleep(3600)
        tell(pid)

    (pid,) = forked({"fork": fork}, 60.0)["fork"].told
    until(lambda: not _runs(pid))


def descriptors():
    """Return the descriptors that this process has open."""
    return {int(each.name) for each in Path("/proc/self/fd").iterdir()}


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_child_that_tells_too_much_is_killed():
    """16 MiB are more than any configuration."""

    def endless(tell):
        while True:
            tell("x" * 1_000_000)

    outcome = forked({"endless": endless}, 60.0)["endless"]
    assert outcome.ended == "told more than 16 MiB, killed"
    assert len(outcome.told) >= 16
