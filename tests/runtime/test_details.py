"""All that a real agent tells of one collector: what it says, what it logged, what it was, and its settings."""

import asyncio
import json
import os
import re
import signal
import sys
from dataclasses import replace
from math import inf

import accelerated
import pytest
from harness import until

from rscollector.config.types import Config
from rscollector.model.feed import Feed
from rscollector.model.lifecycle import Condition
from rscollector.model.metrics import Distribution
from rscollector.model.namespace import Namespace
from rscollector.runtime import details
from rscollector.runtime.history import History
from rscollector.runtime.lines import LastLines
from rscollector.runtime.vitals import Vitals

AGENT = '[agent]\ninterval = "200ms"\nbackoff_max = "200ms"\n[web]\nlisten = []\n'
LONG = "3s"  # of a collect: at nine tenths of it a worker writes its stack, and it is killed at its end
SHARED = AGENT.replace("[web]", 'isolation = "shared"\n[web]')


def rogue(name, **settings):
    """Return the section of a collector that misbehaves."""
    return f"[collector.rogue.{name}]\n" + "".join(
        f"{key} = {json.dumps(each)}\n" for key, each in settings.items()
    )


def told(agent, key):
    """Return all that is told of a collector."""
    return json.loads(agent.get(f"/api/v1/collectors/{key}")[2])


def test_whoever_looks_is_told_in_plain_language_after_the_next_run(agent, tmp_path):
    """With the time of that run, and without the secret that its collector gives away."""
    secret = tmp_path / "secret"
    secret.write_text("hunter22")
    started = agent(AGENT + rogue("a", do="say") + f'password = {{ file = "{secret}" }}\n')
    until(lambda: started.collector("rogue/a")["up"])
    assert told(started, "rogue/a")["explained"] is None
    explained = until(lambda: told(started, "rogue/a")["explained"])
    assert explained["lines"][0].startswith("It was asked ")
    assert explained["lines"][1] == "Its password is ***."
    assert until(lambda: told(started, "rogue/a")["explained"]["at"] > explained["at"])


def test_nobody_explains_what_nobody_reads():
    """Some minutes after the last look runs are as they were before the first."""

    async def main():
        supervisor, world, instance = accelerated.watched()
        asked = []
        collect = world.collect
        world.collect = lambda *given, explain: asked.append(explain) or collect(*given, explain=explain)
        world.lines = lambda _key: ((), ())
        await asyncio.sleep(60)
        assert not any(asked)
        details.details(supervisor, Vitals(0.0), instance, asyncio.get_running_loop().time())
        left = instance.explain_until - asyncio.get_running_loop().time()
        assert left == 300 + instance.spec.interval, (
            "one that runs each hour would never be among those that are"
        )
        asked.clear()
        await asyncio.sleep(60)
        assert all(asked)
        await asyncio.sleep(600)
        asked.clear()
        await asyncio.sleep(60)
        assert asked
        assert not any(asked)

    accelerated.accelerated(main)


def test_a_line_that_is_logged_is_told_of_who_has_logged_it(agent, tmp_path):
    """Also in a worker that it shares; what somebody in there has printed is told of the worker."""
    secret = tmp_path / "secret"
    secret.write_text("hunter22")
    password = f'password = {{ file = "{secret}" }}\n'
    logs = rogue("logs", do="log") + password
    started = agent(SHARED + logs + rogue("prints", do="print") + rogue("quiet", do="fine"))
    found = until(lambda: told(started, "rogue/logs")["logged"])
    assert {each["level"] for each in found} == {"error"}
    assert any(each["text"] == "driver: cannot connect" for each in found)
    assert "hunter22" not in str(found)

    def printed():
        own, others = (
            told(started, f"rogue/{name}")["logged_in_shared_worker"] for name in ("quiet", "logs")
        )
        return [each for each in own if each in others]

    assert until(printed)
    assert told(started, "rogue/quiet")["logged"] == []
    assert "rogue/logs: driver" in started.log
    assert "shared: rogue/logs" not in started.log


def test_what_is_printed_by_one_that_is_alone_is_its_own(agent):
    """There is nobody else whom it could be from."""
    started = agent(AGENT + rogue("prints", do="print"))
    assert until(lambda: told(started, "rogue/prints")["logged"])
    assert told(started, "rogue/prints")["logged_in_shared_worker"] == []


def test_what_it_was_and_why_is_told_the_newest_first(agent, tmp_path):
    """Each with how long it lasted, but for the one that holds."""
    broken = tmp_path / "broken"
    started = agent(AGENT + rogue("a", do="unavailable", once=str(broken)))
    until(lambda: started.collector("rogue/a")["condition"] == "up")
    broken.touch()
    until(lambda: started.collector("rogue/a")["condition"] == "down")
    broken.unlink()
    until(lambda: started.collector("rogue/a")["condition"] == "up")
    found = told(started, "rogue/a")["history"]
    assert [(each["condition"], each["reason"]) for each in found] == [
        ("up", ""), ("down", "the server does not like us"), ("up", ""), ("starting", ""),
    ]  # fmt: skip
    assert found[0]["lasted_seconds"] is None
    assert all(each["lasted_seconds"] >= 0 for each in found[1:])
    times = [each["at"] for each in found]
    assert times == sorted(times, reverse=True)
    assert json.loads(started.get("/api/v1/collectors/rogue/a/history")[2])["history"] == found


def test_what_it_was_before_its_settings_changed_is_told_too(agent):
    """Whoever mends a collector and reloads wants to see what is better now."""
    started = agent(AGENT + rogue("a", do="unavailable"))
    until(lambda: started.collector("rogue/a")["condition"] == "down")
    started.reload(AGENT + rogue("a", do="fine"))
    until(lambda: started.collector("rogue/a")["condition"] == "up")
    found = [each["condition"] for each in told(started, "rogue/a")["history"]]
    assert [each for each in found if each != "stopping"] == ["up", "starting", "down", "starting"]


def test_one_that_takes_longer_than_its_interval_says_so(agent):
    """Its numbers are older than somebody wanted, and it is up all the same: grafana/agent#4789."""
    slow = rogue("a", do="slow", interval="300ms", timeout="5s")
    started = agent(AGENT + slow + rogue("b", do="fine"))
    (note,) = until(lambda: started.collector("rogue/a")["notes"])
    assert re.fullmatch(
        "its last good run took 1.* s, longer than its interval of 300 ms: ticks are skipped", note
    )
    assert started.collector("rogue/b")["notes"] == []


def test_a_crash_that_leaves_no_stack_does_not_show_the_one_of_a_hang(agent, tmp_path):
    """That was another time, and somewhere else."""
    file = tmp_path / "there"
    file.touch()
    hangs = rogue("a", do="hang", once=str(file), at_close="fine", timeout=LONG)
    started = agent(AGENT + hangs + rogue("b", do="fine"))
    until(lambda: started.collector("rogue/a")["last_stack"])
    file.unlink()
    until(lambda: started.collector("rogue/a")["up"])
    assert started.collector("rogue/a")["last_stack"]
    os.kill(started.collector("rogue/a")["worker_pid"], signal.SIGKILL)
    until(lambda: not started.collector("rogue/a")["last_stack"])


def test_how_to_try_it_by_hand_is_said_with_the_configuration_that_is_in_use(agent):
    """And a setting stands where it is written."""
    started = agent(AGENT + rogue("a", text="x"))
    found = told(started, "rogue/a")
    assert found["command"].endswith(f"rscollector collect rogue/a --explain --config {started.config}")
    settings = {each["name"]: each for each in found["settings"]}
    line = started.config.read_text().splitlines().index('text = "x"') + 1
    assert settings["text"] == {"name": "text", "value": "x", "file": str(started.config), "line": line}
    assert settings["do"]["file"] is None
    assert settings["interval"]["line"] == 2


def test_a_file_may_have_a_colon_in_its_name():
    """The line is what stands behind the last one."""
    assert details.settings([["a", "1", "/x:y.toml:3"]]) == [
        {"name": "a", "value": "1", "file": "/x:y.toml", "line": 3}
    ]


def test_the_command_is_one_of_the_services_user(monkeypatch):
    """By its name as far as that is known; the usual configuration need not be named."""
    usual = ("/etc/rscollector/rscollector.toml",)
    for uid, name, files, user, more in (
        (0, "me", usual, "root", ""),
        (7, "me", (), "me", ""),
        (7, "", ("/a b.toml", "/c.toml"), "'#7'", " --config '/a b.toml'"),
    ):
        monkeypatch.setattr(details.os, "geteuid", lambda uid=uid: uid)
        monkeypatch.setenv("USER", name)
        told = details._command("a/b", files)
        assert told == f"sudo -u {user} rscollector collect a/b --explain{more}"


def test_a_sink_has_no_command_and_both_have_the_alerts_of_their_type():
    """A sink that is tried by hand would send."""

    async def main():
        supervisor, world, instance = accelerated.watched()
        world.lines = lambda _key: ((), ())
        vitals = Vitals(0.0, config=Config(alerts={"it": [{"alert": "Down"}], "other": []}))
        found = []
        for sink in (None, Feed.RUNS):
            instance.spec = replace(instance.spec, sink=sink)
            found.append(details.details(supervisor, vitals, instance, 0.0))
        assert [bool(each["command"]) for each in found] == [True, False]
        assert [each["alerts"] for each in found] == [[{"alert": "Down"}]] * 2

    accelerated.accelerated(main)


def test_a_history_is_bounded_in_bytes():
    """With the longest reasons, and the minutes, four kilobytes."""
    history = History()
    for number in range(100):
        condition = (Condition.UP, Condition.DOWN)[number % 2]
        history.became(number, number, condition, number, "x" * 10_000)
    kept = list(history.past())
    size = sum(map(sys.getsizeof, (part for each in kept for part in (each, each.at, each.reason))))
    assert len(kept) >= 10
    assert size + 60 * 4 <= 4096


def test_a_reason_whose_figures_change_is_one_entry():
    """Another kind of trouble is another one."""
    history = History()
    for number in range(5):
        history.became(number, number, Condition.DOWN, "unavailable", f"{number} wait")
    history.became(5, 5, Condition.DOWN, "hang", "no answer")
    assert [each.reason for each in history.past()] == ["no answer", "4 wait", ""]


@pytest.mark.parametrize("number", [0, 5, 50])
def test_the_last_lines_are_kept(number):
    """Twenty, each cut."""
    lines = LastLines()
    for each in range(number):
        lines.add(each, 20, f"{each} {'x' * 1000}")
    assert [line.text.split()[0] for line in lines] == [str(each) for each in range(number)][-20:]
    assert all(len(line.text) == 300 for line in lines)


def test_of_thousands_of_samples_so_many_are_told_and_the_others_counted():
    """Whatever kind they are of."""
    names = Namespace("it")
    gauge, sizes = names.gauge("level", "A level.", "of"), names.histogram("sizes", "Sizes.", (1.0,))
    rows = {(str(each),): inf for each in range(3000)}
    found = details._metrics([(sizes, {(): Distribution((1, 2), 3.0)}), (gauge, rows)])
    assert [each["name"] for each in found] == ["it_level", "it_sizes"]
    assert (len(found[0]["samples"]), found[0]["samples_left_out"]) == (2000, 1000)
    assert found[0]["samples"][0] == {"labels": {"of": "0"}, "value": inf}
    assert (found[1]["samples"], found[1]["samples_left_out"]) == ([], 1)
    (sample,) = details._metrics([(sizes, {(): Distribution((1, 2), 3.0)})])[0]["samples"]
    assert sample["value"] == {"buckets": {"1.0": 1, "+Inf": 2}, "sum": 3.0}
