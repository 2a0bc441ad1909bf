"""Disasters around the agent: signals, reloads, limits of the system, clocks, disks."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cgroups import limited
from harness import until
from storm import Storm, descriptors, section


def test_term_during_a_hang_ends_all_within_ten_seconds(storm):
    """Exit status 0 and no process left, though one collector hangs and another one hangs when it is closed.

    A shutdown that waits for its plugins: guardicore/monkey#3557, influxdata/telegraf#13913.
    """
    weather = storm(section("hang", timeout='"1h"') + section("hang", name="closing", on='"close"'))
    weather.strike()
    until(lambda: weather.agent.state("rogue/bad") == "collecting")
    weather.ends()


def test_a_reload_during_a_hang_changes_what_it_should_at_once(storm):
    """A hanging collector is replaced and another one added, and those that stay do not notice.

    A hanging plugin blocked the reload: influxdata/telegraf#13913.
    """
    weather = storm(section("hang", timeout='"1h"'))
    weather.strike()
    until(lambda: weather.agent.state("rogue/bad") == "collecting")
    config = weather.agent.config.read_text()
    began = time.monotonic()
    weather.agent.reload(config.replace('do = "hang"', 'do = "fine"') + section("fine", name="added"))
    until(lambda: (weather.agent.collector("rogue/added") or {}).get("up") and weather.all_up())
    assert time.monotonic() - began < 15
    weather.calm_processes += 1
    weather.calm_descriptors += 4
    weather.passes()


def test_a_hundred_reloads_in_a_second_are_a_few(storm):
    """Signals that come during a reload make one more; nothing is lost, doubled or restarted.

    influxdata/telegraf#3049 stopped gathering after a HUP.
    """
    weather = storm(section("fine"))
    before = {each["name"]: each["worker_pid"] for each in weather.agent.status()["collectors"]}
    for _ in range(100):
        weather.agent.process.send_signal(signal.SIGHUP)
        time.sleep(0.01)
    until(lambda: "reloaded: 3 kept" in weather.agent.log)
    time.sleep(1)
    assert 1 <= weather.agent.log.count("reloaded: 3 kept") <= 20
    assert before == {each["name"]: each["worker_pid"] for each in weather.agent.status()["collectors"]}
    weather.passes()


def test_when_the_agent_is_killed_all_its_workers_and_their_children_die(storm):
    """SIGKILL leaves the agent no time for anything: the kernel ends the workers, and theirs what `run` has started.

    OpenTSDB/tcollector#62: one half had died, the other half stayed.
    """
    weather = storm(section("run", timeout='"1h"'))
    weather.strike()
    until(lambda: len(weather.agent.family()) > weather.calm_processes)
    weather.agent.process.kill()
    weather.agent.process.wait()
    weather.nobody_is_left()


def test_a_worker_that_cannot_be_forked_is_named_and_started_later(storm):
    """No process is to be had: the ones that are there go on, and the reason is the system's own word.

    Icinga/icinga2#6437: all checks failed, some for days.
    """
    weather = storm(section("exit", first=1))
    with limited("pids", 1, weather.pid):
        weather.strike()
        weather.is_named("cannot start a worker: Resource temporarily unavailable", "crash")
        weather.switch.unlink()
    weather.passes()


def with_an_interpreter_of_its_own(agent, tmp_path):
    """Start a storm of crashes whose agent runs by a link that the test may change; returns link and storm."""
    python = tmp_path / "python"
    python.symlink_to(os.path.realpath(sys.executable))
    packages = os.pathsep.join([str(Path(__file__).parent.parent / "plugins"), *filter(None, sys.path)])
    switch = tmp_path / "switch"

    def start(toml, **environment):
        return agent(toml, interpreter=str(python), **environment, PYTHONPATH=packages)

    return python, Storm(start, switch, section("exit", first=1, once=f'"{switch}"'), "")


def test_a_worker_whose_program_is_gone_is_named_and_started_later(agent, tmp_path):
    """An upgrade takes the interpreter away for a while: what runs goes on, what is to be started waits."""
    python, weather = with_an_interpreter_of_its_own(agent, tmp_path)
    python.rename(tmp_path / "away")
    weather.strike()
    weather.is_named("cannot start a worker: No such file or directory", "crash")
    (tmp_path / "away").rename(python)
    weather.passes()


def test_workers_that_end_as_soon_as_they_begin_are_named_and_started_later(agent, tmp_path):
    """A broken interpreter or a kill by the kernel: a worker may be gone before anybody has asked it anything.

    influxdata/telegraf#14244: a plugin whose program fails at once.
    """
    python, weather = with_an_interpreter_of_its_own(agent, tmp_path)
    python.unlink()
    python.symlink_to("/bin/false")
    weather.strike()
    weather.is_named("the worker exited with status 1", "crash")
    crashes = {"type": "rogue", "name": "bad", "result": "crash"}
    until(lambda: weather.agent.value("rscollector_collector_runs_total", **crashes) >= 20)
    python.unlink()
    python.symlink_to(os.path.realpath(sys.executable))
    weather.switch.unlink()
    weather.passes()


def test_at_the_limit_of_descriptors_ticks_go_on_and_scrapes_come_back(storm):
    """With no descriptor left the collectors go on; when there are some again, so do scrapes and new workers.

    prometheus/node_exporter#627.
    """
    weather = storm(section("exit", first=1))
    weather.scraper.end()
    _, hard = resource.prlimit(weather.pid, resource.RLIMIT_NOFILE)
    runs = weather.agent.value("rogue_runs_total", name="neighbour")
    resource.prlimit(weather.pid, resource.RLIMIT_NOFILE, (max_descriptor(weather.pid), hard))
    weather.strike()
    until(lambda: "rogue/bad: cannot start a worker: Too many open files" in weather.agent.log)
    resource.prlimit(weather.pid, resource.RLIMIT_NOFILE, (3, hard))
    os.kill(weather.pid, signal.SIGHUP)
    until(lambda: "no process can be started: Too many open files" in weather.agent.log)
    time.sleep(3)
    resource.prlimit(weather.pid, resource.RLIMIT_NOFILE, (hard, hard))
    until(lambda: answers(weather))
    assert weather.agent.value("rogue_runs_total", name="neighbour") >= runs + 3
    assert weather.agent.value("rscollector_collector_ticks_missed_total", type="tame") == 0
    weather.switch.unlink()
    until(weather.all_up)
    until(lambda: descriptors(weather.pid) <= weather.calm_descriptors + 3)
    weather.ends()


def max_descriptor(pid):
    """Return the lowest number at which no descriptor of the process is cut off."""
    return max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()) + 1


def answers(weather):
    """Tell whether a scrape succeeds."""
    try:
        return weather.scraper.get()
    except OSError:
        return ""


@pytest.mark.needs("root")
def test_a_full_or_read_only_disk_does_not_concern_the_agent(storm, tmp_path):
    """The disk that has its log and its control socket fills up and then takes no writes: nobody is late.

    BrightcoveOS/Diamond#322 did nothing more when its log's disk was full.
    """
    disk = tmp_path / "agent-0"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    try:
        weather = storm(section("flood", count=1, first=1, interval='"1s"'))
        (disk / "filler").write_bytes(b"x" * shutil.disk_usage(disk).free)
        weather.strike()
        until(lambda: weather.agent.value("rscollector_worker_output_lines_dropped_total") > 10_000)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=False)
        time.sleep(2)
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=False)
        (disk / "filler").unlink()
        weather.passes()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_after_a_suspend_nothing_from_before_is_shown(agent, tmp_path):
    """What was known before the machine slept leaves the page at once and comes back with the next ticks.

    buildkite/agent#66 never came back, netdata/netdata#1225 sent alarms. The sleep is simulated: the clock
    that runs on during a suspend is an hour ahead.
    """
    slept = tmp_path / "slept"
    slept.write_text("0")
    (tmp_path / "sitecustomize.py").write_text(
        "import time\n"
        "from pathlib import Path\n"
        "def shifted(which, read=time.clock_gettime):\n"
        f"    slept = float(Path({str(slept)!r}).read_text()) if which == time.CLOCK_BOOTTIME else 0\n"
        "    return read(which) + slept\n"
        "time.clock_gettime = shifted\n"
    )
    packages = os.pathsep.join([str(tmp_path), str(Path(__file__).parent.parent / "plugins")])

    def start(toml, **environment):
        return agent(toml, **environment, PYTHONPATH=packages)

    weather = Storm(start, tmp_path / "switch", section("fine", interval='"1h"'), "")
    weather.scraper.end()
    slept.write_text("3600")
    until(lambda: weather.agent.value("rscollector_suspends_total") == 1)
    assert "suspended for 1 h; samples from before are dropped" in weather.agent.log
    assert weather.agent.value("rogue_runs_total", name="bad") is None
    assert weather.agent.value("rscollector_collector_up", type="rogue", name="bad") == 0
    until(lambda: weather.agent.value("rogue_runs_total", name="neighbour") is not None)
    until(lambda: weather.agent.value("rscollector_collector_up", type="tame") == 1)
    assert weather.agent.value("rscollector_collector_ticks_missed_total", type="tame") == 0
    weather.ends()


@pytest.mark.needs("faketime")
@pytest.mark.parametrize("step", ["+3600", "-3600"])
def test_a_wall_clock_that_is_set_by_an_hour_moves_no_tick(storm, tmp_path, monkeypatch, step):
    """The step is counted and logged once; ticks follow the monotonic clock and samples stay.

    netdata/netdata#1313 used a whole core after such a step.
    """
    clock = tmp_path / "clock"
    clock.write_text("+0")
    libraries = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    monkeypatch.setenv("LD_PRELOAD", str(next(libraries)))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(clock))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    weather = storm(section("fine"))
    clock.write_text(step)
    until(lambda: weather.agent.value("rscollector_clock_steps_total") == 1)
    time.sleep(3)
    assert weather.agent.value("rscollector_clock_steps_total") == 1
    assert f"the wall clock was set by {step}.0 s; no tick depends on it" in weather.agent.log
    last = weather.agent.value("rscollector_collector_last_success_timestamp_seconds", type="tame")
    assert abs(last - (time.time() + int(step))) < 5
    weather.passes()
