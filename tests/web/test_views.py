"""What the pages show, in words."""

from datetime import UTC, timedelta, timezone

import pytest

from rscollector.web.rows import row
from rscollector.web.views import Worker, index, instance, moment, workers

NOW = 1_764_439_988.0  # 2025-11-29 18:13:08 UTC


def told(**more):
    """Return what is known of a collector of which there is little to say."""
    return {
        "type": "a", "name": "b", "state": "idle", "up": True, "condition": "up", "condition_seconds": 5.0, "reason": "",
        "notes": [], "last_success_seconds_ago": 1.0, "next_run_seconds": 9.0, "interval_seconds": 10.0,
        "duration_seconds": 0.1, "series": 1, "failures": 0, "worker": "local", "last_stack": "", "settings": [],
        "metrics": [], "history": [], "logged": [], "logged_in_shared_worker": [], "alerts": [], "explained": None,
        "is_sink": False, "command": "",
    } | more  # fmt: skip


def sample(value, name="a_b", unit=""):
    """Return how the value of a metric is shown."""
    metric = {"name": name, "type": "gauge", "unit": unit, "help": "", "samples_left_out": 0}
    shown = instance(
        told(metrics=[metric | {"samples": [{"labels": {"x": "y", "z": "1"}, "value": value}]}]), NOW, UTC
    )
    ((labels, value),) = shown["metrics"][0].samples
    assert labels == 'x="y", z="1"'
    return value


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1.0, "", "1"),
        (0.25, "ratio", "0.25"),
        (-3.0, "", "-3"),
        (1e300, "", "1e+300"),
        ("Synced", "", "Synced"),
        ("nan", "", "nan"),
        (3, "bytes", "3"),
        (3.5e9, "bytes", "3500000000 (3.3 GiB)"),
        (0.004, "seconds", "0.004"),
        (90.0, "seconds", "90 (1 min 30 s)"),
        (-90.0, "seconds", "-90"),
        (float("inf"), "seconds", "inf"),
        (float("nan"), "bytes", "nan"),
        (1e16, "", "1e+16"),
        (
            {"buckets": {"0.1": 4, "1": 9, "+Inf": 10}, "sum": 2.5},
            "seconds",
            "10 in all; sum 2.5 seconds; 4 ≤ 0.1, 9 ≤ 1",
        ),
        ({"buckets": {"+Inf": 2}, "sum": 3.0}, "", "2 in all; sum 3"),
    ],
)
def test_a_value_is_shown_as_it_is_and_in_units_that_people_read(value, unit, shown):
    """Exactly, for who compares it with a graph, and then in words where it is large."""
    assert sample(value, unit=unit) == shown


def test_a_metric_says_its_kind_its_unit_and_how_many_samples_it_has():
    """Those that are left out are counted, too."""
    metric = {
        "name": "a_b",
        "type": "gauge",
        "help": "",
        "samples_left_out": 7,
        "samples": [{"labels": {}, "value": 1}],
    }
    shown = instance(
        told(metrics=[metric | {"unit": ""}, metric | {"unit": "bytes"}], last_stack="x\n"), NOW, UTC
    )
    assert [each.kind for each in shown["metrics"]] == ["gauge", "gauge, bytes"]
    assert (shown["samples"], shown["stack"]) == (16, "x")


def test_a_time_is_shown_as_a_clock_shows_it():
    """A metric that is a time says when that was; 0 is none."""
    assert sample(NOW - 7200.25, "a_timestamp_seconds", "seconds") == "1764432788 (16:13:07 UTC, 2 h ago)"
    assert sample(0.0, "a_timestamp_seconds", "seconds") == "0"


def test_a_time_that_is_to_come_says_in_how_long():
    """As the end of a certificate does."""
    assert (
        sample(NOW + 60 * 86400, "a_timestamp_seconds", "seconds")
        == "1769623988 (2026-01-28 18:13:08 UTC, in 60 d)"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (1e18, "1e+18"),
        (253402300800.0, "253402300800"),
        (-1e300, "-1e+300"),
    ],
)
def test_what_is_no_time_is_shown_as_it_is(value, shown):
    """A server says "never" by the largest number that it has, or tells milliseconds: the page is there all the same."""
    assert sample(value, "a_timestamp_seconds", "seconds") == shown


def test_a_moment_says_the_day_when_it_was_another_one():
    """By the calendar of the host's zone."""
    assert moment(NOW - 60, NOW, UTC) == ("2025-11-29T18:12:08+00:00", "18:12:08 UTC", "1 min ago")
    assert moment(NOW - 86400, NOW, UTC)[1] == "2025-11-28 18:13:08 UTC"
    east = timezone(timedelta(hours=9), "JST")
    assert moment(NOW - 4 * 3600, NOW, east)[1] == "2025-11-29 23:13:08 JST"
    assert moment(NOW - 31 * 86400, NOW, UTC)[1] == "2025-10-29 18:13:08 UTC", "the same day of another month"
    assert moment(NOW + 3, NOW, UTC)[2] == "just now"
    assert moment(NOW + 3600, NOW, UTC)[1:] == ("19:13:08 UTC", "before the clock was set back")
    assert moment(0, NOW, UTC) is None


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("up", "Its next run will say how it is: in 9 s."),
        ("stopping", "It is ending, and will say nothing more."),
        ("starting", "Its next run that succeeds will say how it is."),
        ("down", "Its next run that succeeds will say how it is."),
        ("removed", "Its next run that succeeds will say how it is."),
    ],
)
def test_who_has_just_asked_is_told_when_it_will_be_said(condition, says):
    """A collector that is down says nothing until it is up."""
    assert instance(told(condition=condition), NOW)["soon"] == says


def test_one_whose_worker_is_renewed_has_no_next_run_to_wait_for():
    """It is up, and is opened again first."""
    shown = instance(told(state="killing", reason="its worker is renewed"), NOW)
    assert shown["soon"] == "Its next run that succeeds will say how it is."


def test_what_was_said_and_what_was_logged_say_when_and_how_bad():
    """By a word, a colour and a time."""
    lines = [{"at": NOW, "level": level, "text": "x"} for level in ("critical", "error", "warning", "info")]
    alerts = [{"severity": severity} for severity in ("critical", "warning", "page")]
    shown = instance(told(logged=lines, alerts=alerts, explained={"at": NOW - 60, "lines": ["x"]}), NOW, UTC)
    assert [each["style"] for each in shown["logged"]] == ["bad", "bad", "warn", ""]
    assert [each["style"] for each in shown["alerts"]] == ["bad", "warn", ""]
    assert shown["said"].ago == "1 min ago"


def test_a_setting_says_where_it_is_from():
    """File and line, or that it is the default."""
    places = [("/a.toml", 3), ("/a.toml", None), (None, None)]
    settings = [{"name": "x", "value": "1", "file": file, "line": line} for file, line in places]
    assert [each["where"] for each in instance(told(settings=settings), NOW)["settings"]] == [
        "/a.toml:3",
        "/a.toml",
        "default",
    ]


def test_the_newest_lines_and_states_come_first_and_the_rest_is_behind_them():
    """Nothing is lost: lines are in the order of a log, states the newest first."""
    lines = [{"at": NOW, "level": "info", "text": str(n)} for n in range(20)]
    states = [
        {"at": NOW, "condition": "up", "reason": str(n), "lasted_seconds": n or None} for n in range(20)
    ]
    shown = instance(told(logged=lines, history=states), NOW)
    assert [each["text"] for each in shown["logged_before"] + shown["logged"]] == [str(n) for n in range(20)]
    assert [each["reason"] for each in shown["history"] + shown["history_before"]] == [
        str(n) for n in range(20)
    ]
    assert (len(shown["logged"]), len(shown["history"])) == (8, 8)
    assert [each["lasted"] for each in shown["history"][:2]] == ["", "1 s"]


def test_a_worker_is_there_once_with_all_whom_it_serves():
    """The largest first; one that has not told how large it is, is there too."""
    rows = [
        {"type": "a", "name": name, "worker": worker, "worker_pid": pid, "worker_memory_bytes": memory}
        for name, worker, pid, memory in (
            ("z", "local", 7, 20 << 20), ("y", "own", 8, 31 << 20), ("x", "local", 7, 20 << 20), ("w", "own", 9, None), ("v", "own", None, None),
        )
    ]  # fmt: skip
    assert workers(rows) == [
        Worker("own", "8", "31 MiB", ("a/y",)),
        Worker("local", "7", "20 MiB", ("a/x", "a/z")),
        Worker("own", "9", "", ("a/w",)),
    ]


@pytest.mark.parametrize(
    ("waiting", "says"),
    [
        (None, ""),
        ((0, 0, 0.0, 0), "nothing waits in the agent; none was lost there"),
        ((0, 0, 0.0, 1), "nothing waits in the agent; 1 was lost there"),
        (
            (1200, 2048, 61.0, 17),
            "1200 points wait in the agent (2.0 KiB), the oldest for 1 min 1 s; 17 were lost there",
        ),
        ((1, 80, 0.0, 0), "1 point waits in the agent (80 B); none was lost there"),
    ],
)
def test_a_sink_says_what_waits_how_old_it_is_and_how_much_was_lost(waiting, says):
    """Nothing of it of a collector."""
    names = ("points", "bytes", "age_seconds", "lost_points")
    each = told(waiting=waiting and dict(zip(names, waiting, strict=True)))
    assert row(each).waiting == says
    assert row(each).is_quiet is (not says)


def test_who_waits_to_be_tried_again_has_no_next_run():
    """Its reason says when that is; a tick before then passes it over."""
    assert row(told(condition="down", state="backoff")).next == "-"
    assert row(told(condition="down", state="killing")).next == "-"
    assert row(told(condition="down", state="connecting")).next == "-"
    assert row(told(condition="down", state="backoff", failures=2, trouble="unavailable")).next == "-"
    assert row(told(condition="down", state="backoff", trouble="neighbour")).next == "-"


def test_what_answers_and_cannot_do_its_work_is_asked_again_at_its_next_tick():
    """As a sink whose server is away: it waits for nothing else."""
    assert row(told(condition="down", state="backoff", trouble="unavailable")).next == "in 9 s"


def test_one_that_tells_less_than_it_could_comes_before_those_that_begin():
    """It is wrong, though it is up."""
    status = {
        "config": {"read_at": None},
        "collectors": [
            told(name="up"),
            told(name="begins", condition="starting"),
            told(name="less", notes=["missing: replication"]),
            told(name="down", condition="down"),
        ],
    }
    for only_wrong, keys in ((False, ["a/down", "a/less", "a/begins", "a/up"]), (True, ["a/down", "a/less"])):
        shown = index(status, NOW, only_wrong=only_wrong, unhealthy="", unready="")
        assert [each.key for each in shown["rows"]] == keys
        assert (shown["wrong"], shown["read"]) == (2, None)
