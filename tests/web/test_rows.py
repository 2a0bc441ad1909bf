"""What people are shown of a status."""

import pytest

from rscollector.web.rows import calm, row, rows


def told(key, condition="up", since=10.0, **more):
    """Return what a status says of a collector."""
    type_, name = key.split("/")
    told = {
        "type": type_, "name": name, "state": "idle", "up": condition == "up", "reason": "", "notes": [],
        "condition": condition, "condition_seconds": since, "last_success_seconds_ago": 3.0,
        "next_run_seconds": 12.0, "interval_seconds": 15.0, "duration_seconds": 0.02, "series": 5, "failures": 0,
        "worker": "local", "worker_memory_bytes": 21 << 20, "last_stack": "in _hang\n",
    }  # fmt: skip
    return told | more


def test_the_worst_comes_first_and_of_equals_the_newest():
    """By trouble, then by how long it has lasted; what is well is in the order of its names."""
    status = {
        "collectors": [
            told("b/up", since=1),
            told("a/up", since=9),
            told("c/old", "down", 900),
            told("d/new", "down", 3),
            told("e/gone", "removed", 5000),
            told("f/stale", "stale", 1),
            told("g/begins", "starting", 1),
        ]
    }
    keys = [row.key for row in rows(status)]
    assert keys == ["e/gone", "d/new", "c/old", "f/stale", "g/begins", "a/up", "b/up"]


@pytest.mark.parametrize(
    ("condition", "notes", "wrong"),
    [
        ("up", [], False),
        ("up", ["a guest's view"], False),
        ("up", ["missing: replication: refused"], True),
        ("up", ["what is missing: nothing"], False),
        ("starting", [], False),
        ("stopping", [], False),
        ("stale", [], True),
        ("down", [], True),
        ("removed", [], True),
    ],
)
def test_wrong_is_what_is_in_trouble_or_tells_less_than_it_could(condition, notes, wrong):
    """What begins or ends is not wrong, nor is a note that is none about something missing."""
    status = {"collectors": [told("a/b", condition, notes=notes)]}
    assert rows(status)[0].is_wrong is wrong


def test_a_row_says_when_and_how_long():
    """In units that people read."""
    (row,) = rows({"collectors": [told("a/b")]})
    assert (row.since, row.last, row.next, row.interval, row.took) == (
        "10 s",
        "3 s ago",
        "in 12 s",
        "15 s",
        "20 ms",
    )
    assert row.worker == "local, 21 MiB"
    (row,) = rows(
        {"collectors": [told("a/b", "removed", last_success_seconds_ago=None, duration_seconds=None)]}
    )
    assert (row.last, row.next, row.took) == ("never", "-", "-")
    assert rows({"collectors": [told("a/b", "stopping")]})[0].next == "-"


def test_an_agent_of_the_version_before_is_shown_as_well():
    """After an upgrade the command is newer than the agent that runs; a word of its own comes before what is up."""
    new = ("condition", "condition_seconds", "next_run_seconds", "worker_memory_bytes")
    before = [
        {key: value for key, value in each.items() if key not in new}
        for each in (
            told("a/up"),
            told("b/bad", "down") | {"state": "backoff"},
            told("c/gone", "removed") | {"state": "removed"},
        )
    ]
    found = rows({"collectors": before})
    assert [(row.key, row.condition, row.style, row.since, row.worker) for row in found] == [
        ("c/gone", "removed", "bad", "-", "local"),
        ("b/bad", "backoff", "bad", "-", "local"),
        ("a/up", "up", "good", "-", "local"),
    ]


@pytest.mark.parametrize(
    ("condition", "trouble", "ended", "stack"),
    [
        ("down", "hang", "hung", "in _hang"),
        ("removed", "crash", "crashed", "in _hang"),
        ("down", "unavailable", "", ""),
        ("stale", None, "", ""),
        ("up", None, "", ""),
    ],
)
def test_a_stack_is_shown_where_it_is_what_is_wrong(condition, trouble, ended, stack):
    """One that hung last week, and whose server refuses it now, does not hang."""
    found = row(told("a/b", condition, trouble=trouble))
    assert (found.ended, found.stack) == (ended, stack)


@pytest.mark.parametrize(
    ("conditions", "is_well", "says"),
    [
        ((), True, ""),
        (("up", "down"), True, ""),
        (("up", "up"), True, "Nothing is wrong."),
        (("up", "up"), False, "Nothing is wrong with the collectors."),
        (("up", "starting"), True, "Nothing is wrong so far: 1 of 2 is starting."),
        (
            ("starting", "starting"),
            False,
            "Nothing is wrong with the collectors so far: 2 of 2 are starting.",
        ),
    ],
)
def test_that_nothing_is_wrong_is_said_only_where_it_is_known(conditions, is_well, says):
    """Not of what has not run yet, and not of an agent whose last reload failed."""
    found = rows({"collectors": [told(f"a/{n}", each) for n, each in enumerate(conditions)]})
    assert calm(found, agent_is_well=is_well) == says
