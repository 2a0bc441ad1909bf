"""Disasters inside a collector: it hangs, crashes, floods, leaks. The others do not notice."""

import os
import re
import signal
import time

import pytest
from harness import until
from storm import resident, section

HUNG = r"no answer for 800 ms, killed \({}"
PLACE = HUNG.format(r"in plugins/rogue\.py:\d+\)")


@pytest.mark.parametrize(
    ("do", "reason", "result"),
    [
        pytest.param("recv", PLACE, "hang", id="hung recv"),
        pytest.param("regex", HUNG.format(r"in re/__init__\.py:\d+\)"), "hang", id="regex"),
        pytest.param("c_call", PLACE, "hang", id="c call"),
        pytest.param("stop", HUNG.format(r"it was stopped by a signal\)"), "hang", id="sigstop"),
        pytest.param("deaf", PLACE, "hang", id="ignores sigterm"),
        pytest.param("family", PLACE, "hang", id="forks and hangs"),
        pytest.param("daemon", PLACE, "hang", id="starts a daemon and hangs"),
        pytest.param(
            "segfault", r"the worker was killed by SIGSEGV \(in ctypes/__init__", "crash", id="segfault"
        ),
        pytest.param("exit", r"the worker exited with status 7", "crash", id="os._exit"),
        pytest.param("half", r"the worker exited with status 0", "crash", id="half a line"),
        pytest.param(
            "gigabyte", r"the worker sent a line of more than 65536 bytes", "crash", id="a 1 GB line"
        ),
    ],
)
def test_whatever_a_collector_does_it_is_named_and_the_others_are_on_time(storm, do, reason, result):
    """A collector that hangs or crashes is killed, named and replaced; what it has started dies with it.

    A driver's recv that never returns: influxdata/telegraf#1230, PyMySQL/PyMySQL#1177. A regular expression,
    which holds the GIL: python/cpython#67878. A call into C or the kernel: prometheus/node_exporter#868.
    Children and deafness to SIGTERM: BrightcoveOS/Diamond#674, guardicore/monkey#3557. A crash in an
    extension: DataDog/dd-agent#2327; a collector that is gone without a word: BrightcoveOS/Diamond#402.
    """
    weather = storm(section(do, first=1))
    weather.strike()
    weather.is_named(reason, result)
    weather.passes()


def test_a_flood_of_output_is_read_and_forgotten(storm):
    """100 MB on standard output cost the agent no memory, the log 50 lines, and nobody any time.

    An unread pipe stops its writer, an unbounded buffer its reader: kubeclipper/kubeclipper#998.
    """
    weather = storm(section("flood", count=100, timeout='"20s"', interval='"20s"'))
    before = resident(weather.pid)
    weather.strike()
    weather.agent.reload(weather.agent.config.read_text().replace("count = 100", "count = 101"))
    until(lambda: weather.agent.value("rscollector_worker_output_lines_dropped_total") > 900_000)
    assert resident(weather.pid) < before + (32 << 20)
    assert weather.agent.log.count("rogue/bad: xxx") <= 100
    weather.passes()


def test_a_reply_of_a_million_samples_is_cut_off(storm):
    """A collector that would not stop yielding is stopped by its own worker; the rest is counted.

    An exporter that makes millions of series by mistake: prometheus/prometheus#16514.
    """
    weather = storm(section("many", count=1_000_000, timeout='"50s"'))
    weather.strike()
    dropped = {"type": "rogue", "name": "bad", "reason": "limit"}
    until(
        lambda: (weather.agent.value("rscollector_collector_dropped_samples_total", **dropped) or 0) >= 5999
    )
    assert weather.agent.collector("rogue/bad")["series"] == 2000
    until(lambda: "samples dropped (limit), such as rogue_number" in weather.agent.log)
    weather.passes()


def test_a_worker_that_sends_a_million_samples_all_the_same_is_killed(storm):
    """Rows beyond those that were asked for are a breach of the protocol, whoever sends them."""
    rows = ",".join(['[\\"rogue_runs_total\\",[],1]'] * 500)
    numbers = range(3, 12)  # whichever question it is that is answered so
    text = "".join(f'{{\\"op\\":\\"rows\\",\\"seq\\":{number},\\"rows\\":[{rows}]}}\\n' for number in numbers)
    weather = storm(section("wire", first=1, text=f'"{text}"', count=1000))
    weather.strike()
    weather.is_named("the worker sent more than the 8000 rows that were asked for", "crash")
    weather.passes()


def test_labels_that_change_on_every_tick_push_nobody_out(storm):
    """The limit refuses only new series: the ones that are known keep their place.

    kumina/openvpn_exporter#19, kumina/postfix_exporter#38.
    """
    weather = storm(section("many", count=2000, max_series=100))
    weather.strike()
    runs = {"type": "rogue", "name": "bad", "result": "success"}
    until(lambda: weather.agent.value("rscollector_collector_runs_total", **runs) >= 5)
    assert weather.agent.value("rogue_runs_total", name="bad") is not None
    assert weather.agent.collector("rogue/bad")["series"] == 100
    assert (
        weather.agent.value("rscollector_collector_dropped_samples_total", **{**runs, "result": None}) is None
    )
    weather.passes()


def test_garbage_on_the_wire_is_quoted(storm):
    """What is no protocol is shown in the reason, shortened; the worker is replaced."""
    weather = storm(section("wire", first=1, text='"GET / HTTP/1.1\\r\\n"', count=1000))
    weather.strike()
    weather.is_named(r"the worker sent a line that is not JSON: b'GET / HTTP", "crash")
    weather.passes()


@pytest.mark.parametrize("many", [15, pytest.param(50, marks=pytest.mark.long)])
def test_many_collectors_that_hang_at_once_hold_nobody_up(storm, many):
    """Their workers are killed at their deadlines and begun again; the others' ticks are not missed.

    A thread for each hung call would be fifty threads for ever: prometheus/node_exporter#578.
    """
    patience = {"backoff_min": '"5s"', "backoff_max": '"5s"'}
    weather = storm("".join(section("hang", name=f"hung{number}", **patience) for number in range(many)))
    weather.strike()
    until(
        lambda: (
            len(set(re.findall(r"(rogue/hung\d+): no answer for 800 ms, killed", weather.agent.log))) == many
        ),
        60,
    )
    weather.passes()


def test_a_stopped_agent_that_goes_on_blames_nobody(storm):
    """After a SIGSTOP of five seconds the ticks that were missed are counted, and no collector has hung."""
    weather = storm()
    weather.scraper.end()
    os.kill(weather.pid, signal.SIGSTOP)
    time.sleep(5)
    os.kill(weather.pid, signal.SIGCONT)
    missed = {"type": "tame", "name": "local"}
    until(lambda: weather.agent.value("rscollector_collector_ticks_missed_total", **missed) >= 3)
    until(weather.all_up)
    for witness in ({"type": "tame"}, {"type": "rogue", "name": "neighbour"}):
        assert weather.agent.value("rscollector_collector_runs_total", result="hang", **witness) == 0
    weather.ends()
