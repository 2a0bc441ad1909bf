"""A real agent with real workers: what it does when a collector does what it should not."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import termios
import time
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from harness import alive, children, free_port, until
from rogues import AGENT, TAME, install, rogue, runs

from rscollector.wire import VERSION

PLUGINS = Path(__file__).parent.parent / "plugins"


def test_the_agent_watches_itself_and_this_host(agent):
    """The two collectors that need no setting serve the agent's own processes and this host's addresses."""
    started = agent(AGENT + "[collector.agent.main]\n[collector.vip.main]\n")
    until(lambda: started.value("rscollector_collector_up", type="vip"))
    until(lambda: started.value("agent_process_resident_memory_bytes", process="local"))
    assert started.value("agent_process_threads", process="agent", name="main") >= 1
    assert started.value("rscollector_collector_up", type="agent") == 1


@pytest.mark.parametrize(("do", "place"), [("hang", "in plugins/rogue.py:"), ("regex", "in re/__init__.py:")])
def test_a_hang_is_killed_with_its_stack_while_the_others_go_on(agent, do, place):
    """A collector that hangs, even with the GIL held, is killed at its deadline and its line is named."""
    started = agent(AGENT + rogue(do, first=1, timeout='"3s"') + TAME)
    until(lambda: runs(started, "hang") >= 1)
    assert started.value("tame_runs_total") >= 5
    until(lambda: f"no answer for 3 s, killed ({place}" in started.log)
    bad = started.collector("rogue/bad")
    assert "most recent call first" in bad["last_stack"]
    assert "rscollector/worker/" not in bad["last_stack"]
    assert started.value("rscollector_collector_up", type="tame") == 1


def test_a_collector_that_hangs_three_times_is_removed_and_stays_visible(agent):
    """After three hangs there is no process and no series, but the state and the reason are there."""
    started = agent(AGENT + rogue("hang", first=1, timeout='"2s"') + TAME)
    until(lambda: started.state("rogue/bad") == "removed")
    bad = started.collector("rogue/bad")
    assert re.fullmatch(
        r"no answer for 2 s, killed \(in .*\); removed, next attempt in (2 min|1 min .*)", bad["reason"]
    )
    assert bad["worker_pid"] is None
    assert started.value("rogue_runs_total", name="bad") is None
    state = {"type": "rogue", "rscollector_collector_state": "removed"}
    assert started.value("rscollector_collector_state", **state) == 1


def test_a_removed_collector_is_tried_again_by_a_reload(agent, tmp_path):
    """A reload gives a removed collector, whose settings are the same, another attempt at once."""
    switch = tmp_path / "switch"
    switch.touch()
    started = agent(
        AGENT + rogue("misconfigured", once=f'"{switch}"', password='{ env = "PASSWORD" }'),
        PASSWORD="hunter2",
    )
    until(lambda: started.state("rogue/bad") == "removed")
    switch.unlink()
    started.reload()
    until(lambda: started.collector("rogue/bad")["up"])
    assert started.value("rscollector_collector_restarts_total", type="rogue", reason="misconfigured") == 1


def test_an_attempt_looks_again_at_what_was_the_reason(agent, tmp_path):
    """A password corrected in its file, and a plugin that is there now, are found without a reload."""
    file, site = tmp_path / "password", tmp_path / "site"
    install(site, "late", {"late": "late:Late"})
    soon = {"probation_misconfigured": '"200ms"', "probation_max": '"200ms"'}
    started = agent(
        AGENT + rogue("note", password=f"{{ file = '{file}' }}", **soon)
        + rogue("note", kind="late", password="{ env = 'PASSWORD' }", **soon),
        PYTHONPATH=f"{site}{os.pathsep}{PLUGINS}",
        PASSWORD="hunter2",
    )  # fmt: skip
    missing = f"password: the secret in {file} cannot be read: No such file or directory; removed"
    until(lambda: started.collector("rogue/bad")["reason"].startswith(missing))  # soon it is opened again
    until(lambda: "No module named 'late'" in started.collector("late/bad")["reason"])
    file.write_text("swordfish\n")
    text = (PLUGINS / "rogue.py").read_text()
    (site / "late.py").write_text(text.replace('"rogue_', '"late_').replace("Rogue", "Late"))
    until(lambda: started.collector("rogue/bad")["up"] and started.collector("late/bad")["up"])
    assert started.collector("rogue/bad")["notes"] == ["something is odd with ***"]
    assert started.collector("late/bad")["notes"] == ["something is odd with ***"]
    assert "reload" not in started.log


def test_a_reload_notices_a_secret_that_was_changed(agent, tmp_path):
    """Its collector is begun anew, and the others are left alone."""
    file = tmp_path / "password"
    file.write_text("swordfish")
    started = agent(AGENT + TAME + rogue("fine", password=f"{{ file = '{file}' }}"))
    until(lambda: started.collector("rogue/bad")["up"])
    file.write_text("hunter2")
    started.reload()
    until(lambda: "reloaded: change rogue/bad; 1 kept" in started.log)
    started.reload()
    until(lambda: "reloaded: 2 kept" in started.log)


def test_workers_do_not_see_the_environment_of_the_agent(agent):
    """Only what is listed, and so nothing that the agent was given for others."""
    secret = {"PASSWORD": "hunter2", "AWS_SECRET_ACCESS_KEY": "hunter3", "TZ": "Europe/Vienna"}
    started = agent(AGENT + TAME + rogue("fine", password="{ env = 'PASSWORD' }"), **secret)
    until(lambda: started.collector("rogue/bad")["up"])
    for pid in started.family():
        environment = Path(f"/proc/{pid}/environ").read_text().split("\0")
        assert "TZ=Europe/Vienna" in environment
        assert not [each for each in environment if "hunter" in each]


def test_a_secret_never_reaches_log_metrics_or_status(agent, tmp_path):
    """A collector that puts its password into an error does not show it to anyone."""
    started = agent(AGENT + rogue("misconfigured", password='{ env = "PASSWORD" }'), PASSWORD="hunter2")
    until(lambda: started.state("rogue/bad") == "removed")
    assert "the password '***' is wrong" in started.collector("rogue/bad")["reason"]
    everything = started.log + started.get("/metrics")[2].decode() + started.get("/api/v1/status")[2].decode()
    assert "hunter2" not in everything


@pytest.mark.parametrize(
    ("do", "result", "reason"),
    [
        ("unavailable", "unavailable", "the server does not like us"),
        ("refused", "unavailable", "nobody listens"),
        ("bug", "bug", "ZeroDivisionError: division by zero (plugins/rogue.py:"),
        ("no_sample", "bug", "TypeError: collect gave 42, which is no Sample"),
        ("exit", "crash", "the worker exited with status 7"),
        ("segfault", "crash", "the worker was killed by SIGSEGV (in ctypes/__init__.py:"),
    ],
)
def test_a_failure_is_counted_and_named(agent, do, result, reason):
    """Each kind of failure has its own count and a reason that says what went wrong."""
    started = agent(AGENT + rogue(do))
    until(lambda: runs(started, result) >= 1)
    until(lambda: reason in started.log)
    assert started.value("rscollector_collector_up", type="rogue") == 0
    assert started.log.count("Traceback") <= (result == "bug")


def test_the_worlds_errors_are_logged_once_and_not_at_every_attempt(agent):
    """A server that stays down costs one line, whatever the number of attempts."""
    started = agent(AGENT + rogue("unavailable"))
    until(lambda: runs(started, "unavailable") >= 5)
    assert started.log.count("the server does not like us") == 1


def test_a_collector_that_cannot_do_what_it_is_for_is_not_up_and_is_asked_as_ever(agent, tmp_path):
    """Its samples are shown, its state and reason say what is wrong, and the log says so once, and when it is over."""
    switch = tmp_path / "switch"
    switch.touch()
    started = agent(AGENT + rogue("degraded", once=f'"{switch}"'))
    until(lambda: runs(started, "unavailable") >= 5)
    bad = started.collector("rogue/bad")
    assert (bad["state"], bad["up"], bad["trouble"]) == ("backoff", False, "unavailable")
    assert re.fullmatch(r"its target is away, \d+ wait", bad["reason"])
    assert started.value("rogue_runs_total", name="bad") >= 5
    backoff = {"type": "rogue", "rscollector_collector_state": "backoff"}
    assert started.value("rscollector_collector_state", **backoff) == 1
    assert runs(started, "success") == 0
    assert started.log.count("rogue/bad: its target is away") == 1
    assert bad["notes"] == ["it is odd"]
    assert bad["duration_seconds"] is None
    switch.unlink()
    until(lambda: started.value("rscollector_collector_up", type="rogue") == 1)
    assert runs(started, "success") >= 1
    assert started.log.count("rogue/bad: collecting") == 1


def test_what_a_degraded_collector_says_is_masked_and_bounded(agent):
    """As every reason is."""
    bad = rogue("degraded", password="{ env = 'PASSWORD' }", count=10_000)
    started = agent(AGENT + bad, PASSWORD="hunter2")
    until(lambda: "*** is away" in started.collector("rogue/bad")["reason"])
    assert len(started.collector("rogue/bad")["reason"]) == 500
    assert "hunter2" not in started.log


def test_a_collector_that_recovers_says_so(agent, tmp_path):
    """When the trouble is over the collector is up again, and one line says after how many failures."""
    switch = tmp_path / "switch"
    switch.touch()
    started = agent(AGENT + rogue("unavailable", once=f'"{switch}"'))
    until(lambda: runs(started, "unavailable") >= 2)
    switch.unlink()
    until(lambda: started.collector("rogue/bad")["up"])
    until(lambda: re.search(r"rogue/bad: collecting again after \d+ failures?, 1 series", started.log))


def test_only_the_guilty_instance_of_a_shared_worker_is_charged(agent):
    """When one of two instances in a worker crashes it, the other one loses no patience."""
    started = agent(
        AGENT + rogue("exit", name="guilty", kind="tame", first=2) + rogue("fine", "innocent", "tame")
    )
    until(lambda: (runs(started, "crash", "guilty", "tame") or 0) >= 2)
    until(lambda: runs(started, "neighbour", "innocent", "tame") >= 1)
    assert runs(started, "crash", "innocent", "tame") == 0
    until(lambda: started.collector("tame/innocent")["up"])


def test_a_collector_that_is_removed_charges_nobody_else(agent):
    """Ending one that does not close in time kills the worker that it shares; the others are not charged."""
    hung = rogue("hang", "gone", "tame", on='"close"')
    started = agent(AGENT + hung + rogue("fine", "stays", "tame"))
    until(lambda: all(each["up"] for each in started.status()["collectors"]))
    started.reload(AGENT + rogue("fine", "stays", "tame"))
    until(lambda: started.collector("tame/gone") is None)
    until(lambda: started.collector("tame/stays")["up"])
    assert runs(started, "crash", "stays", "tame") == 0
    assert runs(started, "hang", "stays", "tame") == 0


def test_a_collector_that_is_removed_in_the_middle_is_gone_in_time(agent):
    """Removed while it collects, and hanging when it is closed after that: it is killed all the same."""
    slow = rogue("slow", count=1, timeout='"10m"', at_close='"hang"')
    started = agent(AGENT + slow + TAME)
    until(lambda: started.state("rogue/bad") == "collecting")
    started.reload(AGENT + TAME)
    until(lambda: started.collector("rogue/bad") is None)


@pytest.mark.parametrize(
    ("text", "count", "reason"),
    [
        ("nonsense\n", 1, "a line that is not JSON: b'nonsense'"),
        ("x", 100000, "a line of more than 65536 bytes"),
        ('{"op":"opened","seq":2,"feed":""}\n', 1, "'opened' where an answer was expected"),
        ('{"op":"gone","seq":2}\n', 1, "'gone' where a message was expected"),
        ('{"op":"failed","seq":2,"kind":"x"}\n', 1, "'failed' with the fields 'seq, kind'"),
        (
            '{"op":"failed","seq":2,"taken":0,"kind":"x","reason":"","traceback":""}\n',
            1,
            "'failed' with 'x' as its kind",
        ),
        ('{"op":"values","seq":2,"values":[1]}\n', 9000, "more than the 8000 rows that were asked for"),
        ('{"op":"rows","seq":2,"rows":[1]}\n', 9000, "more than the 8000 rows that were asked for"),
        (
            '{"op":"values","seq":2,"values":[1]}\n{"op":"done","seq":2,"taken":0,"layout":0,"memory":1,"notes":[],"sentences":[],"degraded":"","reason":""}\n',
            1,
            "1 values for a layout of 0 rows",
        ),
        ('{"op":"forget","layouts":[7]}\n', 1, "'forget' where an answer was expected"),
        ('{"op":"close","seq":2,"instance":"x","timeout":1}\n', 1, "'close' where an answer was expected"),
        ('{"op":"unknown","seq":2,"layouts":[[7]]}\n', 2, "'unknown' where an answer was expected"),
        ('{"op":"hide","seq":2,"texts":["a secret"]}\n', 1, "'hide' where an answer was expected"),
    ],
)
def test_a_worker_that_lies_is_killed(agent, text, count, reason):
    """Whatever does not belong on the wire is a crash, with what was sent as the reason."""
    started = agent(AGENT + rogue("wire", text=json.dumps(text), count=count, timeout='"30s"') + TAME)
    until(lambda: runs(started, "crash") >= 1)
    until(lambda: f"the worker sent {reason}" in started.log)
    until(lambda: started.collector("tame/good")["up"])


def test_children_of_a_hung_worker_die_with_it(agent):
    """What a collector has started, by the agent's means or its own, is gone when it is killed."""
    started = agent(AGENT + rogue("child", first=1))
    until(lambda: len(started.family()) >= 3)
    family = started.family()
    until(lambda: runs(started, "hang") >= 1)
    until(lambda: not any(alive(pid) for pid in family))


def test_a_stopped_worker_is_named_as_stopped(agent):
    """A worker that does not run at all has no stack; then the state of its process is the reason."""
    started = agent(AGENT + rogue("fine"))
    pid = until(lambda: started.collector("rogue/bad")["up"] and started.collector("rogue/bad")["worker_pid"])
    os.kill(pid, signal.SIGSTOP)
    until(lambda: "no answer for 500 ms, killed (it was stopped by a signal)" in started.log)
    until(lambda: started.collector("rogue/bad")["up"])


@pytest.mark.parametrize(
    ("do", "reason", "example"),
    [
        ("undeclared", "undeclared", "rogue_undeclared"),
        ("twice", "duplicate", "rogue_runs_total"),
        ("value", "invalid", "'not a number' is no number"),
        ("decimal", "invalid", "rogue_number: 'Decimal' is no number"),
        ("path", "invalid", "rogue_text_info: label values are texts, not 'PosixPath'"),
    ],
)
def test_a_sample_that_may_not_be_shown_is_dropped_counted_and_named(agent, do, reason, example):
    """One bad sample is dropped with its reason; the collector's other samples are shown."""
    started = agent(AGENT + rogue(do))
    until(lambda: started.value("rscollector_collector_dropped_samples_total", type="rogue", reason=reason))
    assert started.value("rogue_runs_total", name="bad") >= 1
    said = re.compile(rf"rogue/bad: 1 samples dropped \({reason}\), such as .*{re.escape(example)}")
    until(lambda: said.search(started.log))
    assert started.value("rscollector_collector_up", type="rogue") == 1


def test_what_a_collector_notes_is_in_the_status(agent, rscollector):
    """A note is no failure: the collector is up, and the sentence stands in the status, secrets masked."""
    started = agent(AGENT + rogue("note", password='{ env = "PASSWORD" }'), PASSWORD="hunter2")
    until(lambda: started.collector("rogue/bad")["up"])
    assert started.collector("rogue/bad")["notes"] == ["something is odd with ***"]
    done = rscollector("status", "--socket", started.socket)
    assert "\nrogue/bad: something is odd with ***\n" in done.stdout


def test_label_values_are_escaped_and_repaired(agent):
    """Quotes, backslashes and newlines arrive as they were; bytes that are not UTF-8 become U+FFFD."""
    started = agent(AGENT + rogue("labels"))
    until(lambda: started.collector("rogue/bad")["up"])
    texts = {dict(labels)["text"] for name, labels in started.metrics() if name == "rogue_text_info"}
    assert texts == {'a "quoted"\\\nline', "caf\ufffd"}


def test_the_number_of_series_is_limited(agent):
    """A collector with more series than it may have keeps those it may, and the rest is counted."""
    started = agent(AGENT + rogue("many", count=50, max_series=10))
    until(lambda: started.collector("rogue/bad")["up"])
    assert started.collector("rogue/bad")["series"] == 10
    assert started.value("rscollector_collector_dropped_samples_total", reason="limit") > 0
    (note,) = started.collector("rogue/bad")["notes"]
    assert note.startswith("missing: ")
    assert note.endswith("; see max_series and max_series_total")


def test_what_a_worker_prints_is_logged_under_its_name_and_rate_limited(agent):
    """A worker that prints too much is logged in part, and the rest is counted."""
    started = agent(AGENT + rogue("print", count=1000, interval='"10s"'))
    until(lambda: started.value("rscollector_worker_output_lines_dropped_total") >= 900)
    until(lambda: "rogue/bad: line 0" in started.log)
    assert "rogue/bad: line 999" not in started.log


def test_a_busy_collector_skips_ticks_and_never_has_two_bodies(agent):
    """Ticks that find a collector busy are counted, and are not queued up."""
    started = agent(AGENT + rogue("slow", count=2, timeout='"5s"'))
    until(lambda: started.value("rscollector_collector_ticks_skipped_total", type="rogue") >= 5)
    assert len(started.family()) == 1


def test_samples_leave_the_page_when_the_collector_fails(agent, tmp_path):
    """A stale value is never served as a fresh one."""
    switch = tmp_path / "switch"
    started = agent(AGENT + rogue("unavailable", once=f'"{switch}"'))
    until(lambda: started.value("rogue_runs_total", name="bad"))
    switch.touch()
    until(lambda: started.value("rogue_runs_total", name="bad") is None)
    last = until(lambda: started.value("rscollector_collector_last_success_timestamp_seconds", type="rogue"))
    assert time.time() - 20 < last < time.time()


def test_samples_leave_the_page_after_three_intervals_without_new_ones(agent):
    """Who waits for a neighbour that takes very long, and fails in nothing, does not keep its old samples shown."""
    slow = rogue("slow", "slow", "tame", first=1, count=60, timeout='"2m"')
    started = agent(AGENT + rogue("fine", "waits", "tame", interval='"1s"', timeout='"1s"') + slow)
    until(lambda: "tame/waits: its samples are older than 3 s and are shown no more" in started.log)
    assert started.value("tame_runs_total", name="waits") is None
    assert started.state("tame/waits") == "collecting"
    assert started.value("tame_runs_total", name="slow") == 1


def test_samples_of_good_runs_stay_on_the_page_however_long_these_take(agent):
    """A timeout may be longer than three intervals: then the samples wait for the next run."""
    started = agent(AGENT + rogue("slow", first=1, count=1, timeout='"5s"'))
    until(lambda: started.value("rogue_runs_total", name="bad"))
    until(lambda: started.value("rogue_runs_total", name="bad") >= 4)  # three runs of five intervals each
    assert "shown no more" not in started.log


def test_a_reload_changes_how_many_series_there_may_be(agent):
    """All collectors together have no more than the new limit allows, from their next run on."""
    many = rogue("many", count=50)
    started = agent(AGENT + many)
    until(lambda: started.collector("rogue/bad")["series"] == 51)
    started.reload(AGENT.replace("[web]", "max_series_total = 20\n[web]") + many)
    until(lambda: started.collector("rogue/bad")["series"] == 20)


def test_what_a_collector_still_waited_to_be_asked_is_not_asked_when_it_ends(agent):
    """One whose neighbour is at work is closed as soon as that is done, without one run more of its own."""
    busy = rogue("slow", name="busy", kind="tame", count=3, timeout='"1m"')
    waits = rogue("slow", name="waits", kind="tame", first=1, count=60, timeout='"2m"')
    started = agent(AGENT + waits + busy)
    until(lambda: started.state("tame/busy") == "collecting" and started.state("tame/waits") == "collecting")
    started.reload(AGENT + busy)
    until(lambda: started.collector("tame/waits") is None, timeout=40)
    assert runs(started, "crash", name="busy", kind="tame") == 0


def test_collectors_that_are_to_end_before_their_workers_are_born_leave_nothing(agent):
    """Workers are started one after the other; those whose turn has not come are never started."""
    many = "".join(rogue("fine", f"n{number}") for number in range(60))
    started = agent(AGENT + many)
    started.reload(AGENT + TAME)
    until(lambda: [each["type"] for each in started.status()["collectors"]] == ["tame"])
    until(lambda: started.collector("tame/good")["up"] and len(started.family()) == 1)
    assert started.log.count("worker started") < 60


def test_a_worker_of_another_version_is_not_understood_and_the_agent_says_so(agent, tmp_path):
    """Its package was upgraded under the running agent; the reason says what to do."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'rscollector.worker' in sys.orig_argv:\n"
        "    import rscollector.wire\n"
        "    rscollector.wire.VERSION = 7\n"
    )
    plugins = str(Path(__file__).parent.parent / "plugins")
    collectors = rogue("fine") + TAME + rogue("fine", name="other", kind="tame")
    started = agent(AGENT + collectors, PYTHONPATH=f"{tmp_path}{os.pathsep}{plugins}")
    until(lambda: started.state("rogue/bad") == "removed")
    assert started.collector("rogue/bad")["reason"].startswith(
        f"the worker speaks version 7 of the wire, the agent version {VERSION}: the package was upgraded; "
        "restart the agent (systemctl restart rscollector); removed, next attempt in "
    )
    until(lambda: started.state("tame/good") == "removed" == started.state("tame/other"))
    assert runs(started, "misconfigured", name="good", kind="tame") == 1
    assert runs(started, "misconfigured", name="other", kind="tame") == 1
    until(lambda: started.family() == [])
    assert started.stop() == 0


def test_a_plugin_that_cannot_be_imported_removes_only_its_own_instances(agent):
    """The others run; the broken one is removed, with the import's error as the reason."""
    started = agent(AGENT + "[collector.broken.x]\n" + TAME)
    until(lambda: started.collector("tame/good")["up"])
    until(lambda: started.collector("broken/x")["state"] == "removed")
    broken = started.collector("broken/x")
    assert "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'" in broken["reason"]


def test_term_during_a_hang_ends_everything_in_time(agent):
    """TERM gives exit status 0 within ten seconds, and no process is left, whatever hangs."""
    started = agent(AGENT + rogue("hang", timeout='"60s"') + rogue("hang", name="close", on='"close"') + TAME)
    until(lambda: started.collector("rogue/bad")["state"] == "collecting" and len(started.family()) == 3)
    family = started.family()
    began = time.monotonic()
    assert started.stop() == 0
    assert time.monotonic() - began < 10
    assert [pid for pid in family if alive(pid)] == []


def test_no_worker_survives_the_agent(agent):
    """When the agent itself is killed, its workers die with it, even one that hangs."""
    started = agent(AGENT + rogue("hang", timeout='"60s"') + TAME)
    until(lambda: started.collector("rogue/bad")["state"] == "collecting" and len(started.family()) == 2)
    family = started.family()
    started.process.kill()
    started.process.wait()
    until(lambda: not any(alive(pid) for pid in family))


def test_a_reload_changes_only_what_changed(agent):
    """What was not changed keeps its process and its connection."""
    started = agent(AGENT + rogue("fine", "kept") + rogue("fine", "changed") + rogue("fine", "removed"))
    until(lambda: all(each["up"] for each in started.status()["collectors"]))
    before = {each["name"]: each["worker_pid"] for each in started.status()["collectors"]}
    started.reload(AGENT + rogue("fine", "kept") + rogue("fine", "changed", first=7) + rogue("fine", "added"))
    until(lambda: started.collector("rogue/removed") is None)
    until(lambda: all(each["up"] for each in started.status()["collectors"]))
    after = {each["name"]: each["worker_pid"] for each in started.status()["collectors"]}
    assert after.keys() == {"kept", "changed", "added"}
    assert after["kept"] == before["kept"]
    assert after["changed"] != before["changed"]
    until(
        lambda: "reloaded: add rogue/added; change rogue/changed; remove rogue/removed; 1 kept" in started.log
    )


def test_a_wrong_reload_keeps_the_old_configuration_and_says_so(agent):
    """A mistake in a reload is named in log, metric and status, and nothing else happens."""
    started = agent(AGENT + TAME)
    until(lambda: started.collector("tame/good")["up"])
    started.reload(AGENT + TAME + "speling = 1\n")
    until(lambda: "reload failed; the configuration before it stays in use" in started.log)
    assert started.value("rscollector_config_last_reload_successful") == 0
    assert "collector.tame.good.speling: unknown key" in started.status()["config"]["last_reload_error"]
    assert started.collector("tame/good")["up"]
    started.reload(AGENT + TAME)
    until(lambda: started.value("rscollector_config_last_reload_successful") == 1)


def test_a_hundred_reloads_in_a_second_are_few(agent):
    """Signals that come during a reload are answered by one more reload."""
    started = agent(AGENT + rogue("hang", timeout='"60s"') + TAME)
    until(lambda: started.collector("tame/good")["up"])
    for _ in range(100):
        started.process.send_signal(signal.SIGHUP)
        time.sleep(0.005)
    until(lambda: "reloaded: 2 kept" in started.log)
    assert started.collector("tame/good")["up"]
    assert started.log.count("reloaded:") < 20


def test_the_hosts_ports_are_refused_with_a_sentence(agent, tmp_path):
    """A port in use and an address that is not here end the start with one sentence each, and status 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        used = agent(f'[web]\nlisten = ["127.0.0.1:{port}"]\n', wait=False)
        assert used.process.wait(20) == 1
        assert f"cannot listen on 127.0.0.1:{port}: another process uses this port" in used.log
    away = agent('[web]\nlisten = ["203.0.113.7:10070"]\n', wait=False)
    assert away.process.wait(20) == 1
    assert "no interface of this host has this address; correct web.listen" in away.log


def test_a_second_agent_is_refused(agent):
    """There is one agent per host: the second one says that another answers, and ends."""
    first = agent(AGENT + TAME)
    second = agent(AGENT + TAME, wait=False, RUNTIME_DIRECTORY=str(first.socket.parent))
    assert second.process.wait(20) == 1
    assert "another rscollector answers on" in second.log
    assert first.ready()


def test_mistakes_at_the_start_give_status_2_and_all_sentences(agent):
    """An agent with a wrong configuration does not start, and names every mistake."""
    started = agent("[agent]\ninterval = 5\n[web]\nport = 1\n", wait=False)
    assert started.process.wait(20) == 2
    until(lambda: "agent.interval: expected a duration" in started.log)
    until(lambda: "web.port: unknown key" in started.log)
    assert "Traceback" not in started.log


def test_it_serves_the_port_that_it_was_told(agent):
    """The page on the TCP port is the page of the control socket."""
    port = free_port()
    started = agent(AGENT.replace("listen = []", f'listen = ["127.0.0.1:{port}", "[::1]:{port}"]') + TAME)
    until(lambda: started.collector("tame/good")["up"])
    for host in ("127.0.0.1", "[::1]"):
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10) as answer:
            page = answer.read().decode()
        assert 'tame_runs_total{name="good"}' in page


def test_it_tells_systemd_when_it_is_ready_alive_reloading_and_stopping(agent, tmp_path):
    """READY comes last at the start, the watchdog is fed, a reload is announced, the stop too."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        path = tmp_path / "notify"
        systemd.bind(str(path))
        systemd.settimeout(10)
        started = agent(AGENT + TAME, NOTIFY_SOCKET=str(path))
        heard = []

        def hear(word):
            while not any(word in each for each in heard):
                heard.append(systemd.recv(4096).decode())
            return True

        assert hear("READY=1")
        assert hear("WATCHDOG=1\nSTATUS=1 of 1 collectors up")
        heard.clear()
        started.process.send_signal(signal.SIGHUP)
        assert hear("RELOADING=1\nMONOTONIC_USEC=")
        assert hear("READY=1")
        started.process.terminate()
        assert hear("STOPPING=1")


def test_under_the_journal_each_line_has_its_priority(agent):
    """When standard error is the journal's, a warning begins with <4> and no time stands before it."""
    as_journal = 'export JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2); exec "$@"'
    started = agent(AGENT + rogue("unavailable"), prefix=("sh", "-c", as_journal, "sh"))
    until(lambda: runs(started, "unavailable") >= 1)
    until(lambda: "\n<4>rogue/bad: the server does not like us; retry in " in started.log)


def test_signals_that_everybody_is_sent_do_not_end_workers(agent):
    """A service manager may send them to all processes: the agent alone decides."""
    started = agent(AGENT + rogue("fine", timeout='"20s"'))
    until(lambda: started.collector("rogue/bad")["up"])
    worker = started.collector("rogue/bad")["worker_pid"]
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGTERM):
        os.kill(worker, number)
    before = started.value("rogue_runs_total", name="bad")
    until(lambda: (started.value("rogue_runs_total", name="bad") or 0) > before + 3)  # it may have expired
    assert started.collector("rogue/bad")["worker_pid"] == worker, started.log


PLUGIN = """
import os, subprocess
{what}
from rscollector.api import Collector, Kind, Metric

class Plugin(Collector):
    metrics = (Metric("odd_size", Kind.GAUGE, "A number."),)

    def collect(self, context):
        return ()
"""


@pytest.mark.parametrize(
    "what",
    [
        'subprocess.Popen(["sleep", "1000"], start_new_session=True)',
        'os.write(1, (b"x" * 99 + b"\\n") * 200_000)',
    ],
    ids=["leaves", "floods"],
)
def test_what_a_plugin_does_when_it_is_imported_is_no_matter_of_the_agents(agent, tmp_path, what):
    """It leaves a process that holds what it has inherited, or prints without an end: the agent starts, and reloads."""
    install(tmp_path / "site", "odd", {"odd": "odd:Plugin"}, {"odd": PLUGIN.format(what=what)})
    toml = AGENT + TAME + "[collector.odd.a]\n"
    started = agent(toml, PYTHONPATH=f"{tmp_path}/site{os.pathsep}{PLUGINS}")
    until(lambda: started.collector("odd/a")["up"])
    started.reload(toml + rogue("fine"))
    until(lambda: started.collector("rogue/bad")["up"])
    family = started.family()
    assert started.stop() == 0
    until(lambda: not any(map(alive, family)))


def test_what_a_collector_has_put_out_of_the_way_is_gone_with_the_agent(agent):
    """Also where the agent ends before its heart has beaten again."""
    started = agent(AGENT + rogue("daemon", timeout='"50s"'))
    until(lambda: len(started.family()) == 2)
    family = started.family()
    assert started.stop() == 0
    until(lambda: not any(map(alive, family)))


def test_signals_that_are_not_for_it_do_not_end_it(agent):
    """A storm of them while it runs, and until its last moment: then it ends as it was told."""
    harmless = [
        signal.SIGHUP,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGPIPE,
        signal.SIGCHLD,
        signal.SIGWINCH,
    ]
    started = agent(AGENT + TAME)
    for number in harmless:
        started.process.send_signal(number)
    until(lambda: "reloaded" in started.log)
    assert started.collector("tame/good")["state"] in ("idle", "collecting")
    started.process.terminate()
    while started.process.poll() is None:
        for number in (*harmless, signal.SIGTERM, signal.SIGINT):
            started.process.send_signal(number)
        time.sleep(0.001)
    assert started.process.returncode == 0


def test_a_log_that_nobody_reads_does_not_keep_it_from_ending(agent, tmp_path):
    """Its standard error is a pipe that is full: TERM ends it as ever."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    (tmp_path / "c.toml").write_text(AGENT + TAME + rogue("print", count=5000))
    command = [sys.executable, "-m", "rscollector.cli.main", "run", "-v", "-c", str(tmp_path / "c.toml")]
    own = {"RUNTIME_DIRECTORY": str(tmp_path / "run"), "PYTHONPATH": str(PLUGINS)}
    process = subprocess.Popen(command, stderr=write, stdout=write, env={**os.environ, **own})
    os.close(write)
    waiting = bytearray(4)
    until(
        lambda: (
            fcntl.ioctl(read, termios.FIONREAD, waiting) == 0
            and int.from_bytes(waiting, sys.byteorder) >= 4000
        )
    )
    until(lambda: len(children(process.pid)) == 2)
    process.terminate()
    try:
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(read)


def test_workers_for_which_there_is_no_room_are_refused_in_a_sentence(agent):
    """The others run, and when one of them ends there is room for the next."""
    few = "".join(rogue("fine", name) for name in "abc")
    started = agent(AGENT + few + TAME, prefix=("prlimit", "--nofile=104:104"))
    until(lambda: sum(each["up"] for each in started.status()["collectors"]) == 3)
    refused = next(each for each in started.status()["collectors"] if not each["up"])
    assert refused["reason"].startswith(
        "no worker can be started: the agent has room for 3 (104 open files, LimitNOFILE=); raise that, or let "
        'collectors share one with isolation = "shared"'
    )
    started.reload(AGENT + TAME + rogue("fine", "a") + rogue("fine", "d"))
    until(lambda: [each["up"] for each in started.status()["collectors"]] == [True] * 3)


def test_clients_that_hold_all_connections_take_no_descriptor_from_the_agent(agent, tmp_path):
    """It beats, and reads its configuration again, and serves who comes next."""
    port, path = free_port(), tmp_path / "notify"
    toml = AGENT.replace("listen = []", f'listen = ["127.0.0.1:{port}"]')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, ExitStack() as held:
        systemd.bind(str(path))
        systemd.setblocking(False)
        started = agent(toml + TAME, prefix=("prlimit", "--nofile=200:200"), NOTIFY_SOCKET=str(path))
        for _ in range(500):
            held.enter_context(socket.create_connection(("127.0.0.1", port)))
        started.reload(toml + TAME + rogue("fine"))
        until(lambda: started.collector("rogue/bad")["up"])
        until(lambda: systemd.recv(10_000) == b"READY=1")
        assert "Too many open files" not in started.log
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as page:
            assert page.status == 200


def test_a_worker_that_is_too_large_from_the_beginning_is_not_renewed_again_and_again(agent):
    """The limit is what is wrong: the log says so, and the collector goes on."""
    started = agent(AGENT + TAME + rogue("fine", max_memory='"1M"'))
    until(lambda: (started.value("rogue_runs_total", name="bad") or 0) >= 12)  # the second worker's
    assert started.value("rscollector_collector_restarts_total", type="rogue", reason="memory") == 1
    first = (
        r"rogue/bad: max_memory = 1 MiB is too small: its worker uses \d+ MiB after its first run; raise it"
    )
    assert len(re.findall(first, started.log)) == 1


def test_a_reload_shows_what_is_in_use(agent):
    """The new name of the host, which sinks tell; and where the agent listens, from this address to all."""
    port, other = free_port(), free_port()
    toml = AGENT.replace("listen = []", "listen = [{where}]").replace("[agent]", '[agent]\nhost = "{host}"')
    started = agent(toml.format(where=f'"127.0.0.1:{port}"', host="old") + TAME)
    for where, host in ((f":{port}", "new"), (f"127.0.0.1:{other}", "newer")):
        started.reload(toml.format(where=f'"{where}"', host=host) + TAME)
        until(lambda host=host: started.status()["host"] == host)
        assert started.status()["listen"] == [where if host == "newer" else f"0.0.0.0:{port}"]
        with socket.create_connection(("127.0.0.1", int(where.split(":")[1]))) as client:
            client.sendall(b"GET /-/ready HTTP/1.1\r\nHost: h\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_an_address_that_is_taken_changes_nothing_at_a_reload(agent):
    """The reload has failed, as with a mistake: neither the address nor the host's name are new."""
    port, taken = free_port(), free_port()
    toml = AGENT.replace("listen = []", 'listen = ["127.0.0.1:{port}"]').replace(
        "[agent]", '[agent]\nhost = "{host}"'
    )
    started = agent(toml.format(port=port, host="old") + TAME)
    with socket.create_server(("127.0.0.1", taken)):
        started.reload(toml.format(port=taken, host="new") + TAME)
        until(lambda: not started.status()["config"]["last_reload_successful"])
    status = started.status()
    assert (status["host"], status["listen"]) == ("old", [f"127.0.0.1:{port}"])
    assert f"cannot listen on 127.0.0.1:{taken}: another process uses this port" in started.log
    socket.create_connection(("127.0.0.1", port)).close()


def test_descriptors_do_not_leak_over_many_restarts(agent):
    """A collector that crashes again and again costs no descriptor."""
    started = agent(AGENT.replace("200ms", "100ms") + rogue("exit", max_failures=1000, backoff_max='"1s"'))

    def descriptors():
        return len(list(Path(f"/proc/{started.process.pid}/fd").iterdir()))

    until(lambda: runs(started, "crash") >= 3)
    before = descriptors()
    until(lambda: runs(started, "crash") >= 13, timeout=60)
    assert descriptors() <= before + 6  # a worker that is just being started has some


def test_a_configuration_of_hundreds_of_collectors_is_read_whole(agent, tmp_path):
    """What the configuration process answers may be larger than what a pipe or socket takes at once."""
    tags = "\n".join(f'{"k" * 200}{number} = "{"v" * 800}"' for number in range(1000))
    started = agent(f"{AGENT}[agent.tags]\n{tags}\n{TAME}".replace("[web]", "\n[web]"))
    assert len(started.status()["tags"]) == 1000
    until(lambda: started.collector("tame/good")["up"])


def command(pid):
    """Return the command line of a process, "" of one that is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def readers(started):
    """Return the configuration processes of an agent; before its exec, whoever starts one waits for it."""
    return [pid for pid in started.family() if "rscollector.config" in command(pid)]


def test_a_configuration_that_hangs_at_the_start_does_not_hold_up_the_end(agent):
    """Its reader never answers; TERM ends the agent all the same."""
    started = agent(AGENT, wait=False)
    (reader,) = until(lambda: readers(started))
    os.kill(reader, signal.SIGSTOP)
    assert started.stop() == 0
    until(lambda: not alive(reader))


def test_a_reload_that_hangs_holds_nobody_up(agent):
    """While the configuration process hangs, ticks go on, pages are served, and TERM ends it all."""
    started = agent(AGENT + TAME)
    until(lambda: started.collector("tame/good")["up"])
    before = started.value("tame_runs_total")
    started.process.send_signal(signal.SIGHUP)
    (reader,) = until(lambda: readers(started))
    os.kill(reader, signal.SIGSTOP)
    until(lambda: started.value("tame_runs_total") >= before + 5)
    family = started.family()
    assert started.stop(timeout=5) == 0
    until(lambda: not any(alive(pid) for pid in family))
