"""The rules of Bosun's language and of OpenTSDB's answers by which our alarms are judged, one by one."""

import json
import math

import pytest
from expressions import Moment, Wrong, evaluate, operate, read
from opentsdb import BadQuery, OpenTsdb
from rules import load

NAN = math.nan


def put(tsdb, metric, *values, step=10, **tags):
    """Put points at each tenth second, the last one now."""
    first = tsdb.now - step * (len(values) - 1)
    points = [
        {"metric": metric, "tags": tags, "value": value, "timestamp": first + step * number}
        for number, value in enumerate(values)
    ]
    tsdb.put(json.dumps(each, separators=(",", ":")).encode() for each in points)


@pytest.fixture
def tsdb():
    """Return points of two hosts: load on both, errors on one, by two reasons."""
    made = OpenTsdb()
    made.now = 1000
    put(made, "load", 1, 3, 2, host="a", name="main")
    put(made, "load", 5, 5, 8, host="b", name="main")
    put(made, "errors", 2, 2, 2, host="a", name="main", reason="x")
    put(made, "errors", 1, 1, 4, host="a", name="main", reason="y")
    return made


@pytest.fixture
def of(tsdb):
    """Evaluate an expression: values by the tags of the group."""

    def evaluated(text, *, unjoined_ok=False):
        found = evaluate(read(text), Moment(tsdb, unjoined_ok)).each
        return {",".join(f"{key}={text}" for key, text in sorted(group)): value for group, value in found}

    return evaluated


LOAD = 'q("sum:load{host=*}", "1m", "")'
ERRORS = 'q("sum:errors{host=*,reason=*}", "1m", "")'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"avg({LOAD})", {"host=a": 2, "host=b": 6}),
        (f"min({LOAD})", {"host=a": 1, "host=b": 5}),
        (f"max({LOAD})", {"host=a": 3, "host=b": 8}),
        (f"last({LOAD})", {"host=a": 2, "host=b": 8}),
        (f"sum({LOAD})", {"host=a": 6, "host=b": 18}),
        (f"len({LOAD})", {"host=a": 3, "host=b": 3}),
        (f"since({LOAD})", {"host=a": 0, "host=b": 0}),
        ('since(q("sum:load{host=*}", "1m", "5s"))', {"host=a": 10, "host=b": 10}),
        ('change("sum:rate:load{host=*}", "1m", "")', {"host=a": 3, "host=b": 9}),
        ('change("sum:rate:load{host=*}", "1m", "30s")', {}),
        (f'sum(t(last({LOAD}), ""))', {"": 10}),
        (f'sum(t(last({ERRORS}), "host"))', {"host=a": 6}),
        (f"sum(timedelta({LOAD}))", {"host=a": 20, "host=b": 20}),
        ('sum(timedelta(q("sum:load{host=*}", "5s", "")))', {"host=a": 0, "host=b": 0}),
        (f"last(filter({LOAD}, last({LOAD}) > 2))", {"host=b": 8}),
        (f"max({LOAD} - {LOAD})", {"host=a": 0, "host=b": 0}),
        (f"max(2 * {LOAD} + 1)", {"host=a": 7, "host=b": 17}),
        ("1 + 2 * 3 - 8 / 4", {"": 5}),
        ("1 < 2 && 2 <= 1 || 3 == 3", {"": 1}),
        ("!(1 > 2) != !0 ", {"": 0}),
        ("-1 < 0", {"": 1}),
    ],
)
def test_functions_and_operators(of, text, expected):
    """What each gives, by group; operators bind as they do in Bosun."""
    assert of(text) == expected


@pytest.mark.parametrize(
    ("operator", "one", "other", "expected"),
    [
        ("&&", 0, NAN, 0), ("||", 1, NAN, 1), ("||", NAN, 0, 1), ("&&", NAN, 0, NAN), ("&&", 1, NAN, NAN),
        ("||", 0, NAN, NAN), ("==", NAN, NAN, NAN), ("!=", 1, NAN, NAN), ("+", NAN, 1, NAN), ("/", 0, 0, NAN),
        ("/", 1, 0, math.inf), ("/", -1, 0, -math.inf),
    ],
)  # fmt: skip
def test_what_is_no_number(operator, one, other, expected):
    """NaN spreads, but where the left side has decided already."""
    assert operate(operator, one, other) == pytest.approx(expected, nan_ok=True)


def test_groups_are_joined_that_are_equal_or_where_one_is_part_of_the_other(of):
    """The result has the larger group, whichever side it stands on."""
    joined = {"host=a,reason=x": 4, "host=a,reason=y": 6}
    assert of(f"last({LOAD}) + last({ERRORS})", unjoined_ok=True) == joined
    assert of(f"last({ERRORS}) + last({LOAD})", unjoined_ok=True) == joined


def test_a_group_that_finds_no_other_is_nan_or_what_nv_says_or_left_out(of):
    """That holds for each side, and what nv says is forgotten by the next operator."""
    found = of(f"last({LOAD}) + last({ERRORS})")
    assert found.keys() == {"host=a,reason=x", "host=a,reason=y", "host=b"}
    assert math.isnan(found["host=b"])
    assert of(f"last({LOAD}) + nv(last({ERRORS}), 7)")["host=b"] == 15
    assert of(f"nv(last({ERRORS}), 7) + last({LOAD})")["host=b"] == 15
    assert of(f"last({LOAD}) > 0 && nv(last({ERRORS}) > 0, 0)")["host=b"] == 0
    assert math.isnan(of(f"last({LOAD}) > 0 && nv(last({ERRORS}), 0) > 0")["host=b"])
    assert math.isnan(of(f'last({LOAD}) + max(t(nv(last({ERRORS}), 7), "host"))')["host=b"])


def test_a_set_without_groups_empties_the_result_but_for_nv(of):
    """nv makes one group of it, without tags, which joins every other."""
    nothing = 'last(q("sum:load{host=c}", "1m", ""))'
    assert of(f"last({LOAD}) > 0 || {nothing} > 0") == {}
    assert of(f"nv({nothing}, 3)") == {"": 3}
    assert of(f"last({LOAD}) + nv({nothing}, 3)") == {"host=a": 5, "host=b": 11}
    assert of(f'sum(t({nothing}, ""))') == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f'last({LOAD}) && last(q("sum:load{{name=*}}", "1m", ""))', "incompatible tags"),
        (f"last({LOAD}) > ", "unexpected the end"),
        (f"last({LOAD}", "expected"),
        (f"nolast({LOAD})", "non existent function nolast"),
        (f"last({LOAD}, 1)", "2 arguments for 1"),
        (f"avg(last({LOAD}))", "expected series, got number"),
        (f"nv({LOAD}, 0)", "expected number, got series"),
        (f't(last({LOAD}), "rack")', "not among"),
        ('last(q("load{host=*}", "1m", ""))', "bad query"),
        ('"text" > 1', "unexpected"),
        ("1 => 2", "unexpected"),
        ("1 ? 2", "invalid character"),
    ],
)
def test_what_bosun_does_not_load(text, why):
    """A mistake is told when the file is read."""
    with pytest.raises((Wrong, BadQuery), match=why):
        read(text)


def test_a_metric_that_nobody_has_sent_is_an_error(of):
    """One that was sent, and has no points in the time, has no groups."""
    with pytest.raises(BadQuery, match="No such name for 'metrics': 'lode'"):
        of('last(q("sum:lode{host=*}", "1m", ""))')
    assert of('last(q("sum:load{host=*}", "2h", "1h"))') == {}


def test_a_series_without_a_tag_that_is_asked_for_does_not_count(of, tsdb):
    """So an empty tag, which is not sent, takes its series out of a group."""
    put(tsdb, "load", 1, host="c")
    assert of('last(q("sum:load{host=*,name=*}", "1m", ""))') == {
        "host=a,name=main": 2,
        "host=b,name=main": 8,
    }
    assert of('last(q("sum:load{host=a|c}", "1m", ""))') == {"host=a": 2, "host=c": 1}


def test_series_of_a_group_are_added_at_the_times_of_any(of, tsdb):
    """Between two points a series is on the line between them, and outside of them it is not there."""
    put(tsdb, "queue", 0, 10, 20, host="a")
    tsdb.now += 5
    put(tsdb, "queue", 100, 100, 100, host="b")
    tsdb.now -= 5
    points = evaluate(read('q("sum:queue", "1m", "")'), Moment(tsdb)).each[0].value
    assert points == {980: 0, 985: 105, 990: 110, 995: 115, 1000: 20}


@pytest.mark.parametrize(
    ("rate", "expected"),
    [("rate", -2), ("rate{counter,,1}", 0), ("rate{counter}", (2**63 - 1 - 20) / 10)],
)
def test_a_counter_that_begins_anew(of, tsdb, rate, expected):
    """A step back is a rollover, which is taken for 0 where it is too large to be true."""
    put(tsdb, "count", 20, 0, host="a")
    assert of(f'last(q("sum:{rate}:count{{host=*}}", "1m", ""))') == {"host=a": pytest.approx(expected)}


def test_a_rate_begins_with_the_second_point(of, tsdb):
    """A fresh counter has none."""
    put(tsdb, "count", 20, host="a")
    assert of('last(q("sum:rate:count{host=*}", "1m", ""))') == {}


# --- files ---

TEMPLATE = "template t {\n  subject = `s`\n  body = `b\n}`\n}\n"


def alarm(lines, more=""):
    """Return the one alarm of a file."""
    (found,) = load(
        TEMPLATE + more + "# a comment {\nalert one {\n" + "\n".join(lines) + "\n}\n"
    ).alarms.values()
    return found


def test_variables_are_text_and_macros_are_pairs(tsdb):
    """A variable with an operator in it is not put in parentheses."""
    lines = ["macro = m", f"$q = {LOAD}", "$load = last($q)", "$least = 1 + 1", "warn = ${load} > $least * 2"]
    rules = alarm(lines, "macro m {\n template = t\n}\n")
    assert rules.check(tsdb) == {frozenset({("host", "a")}): "ok", frozenset({("host", "b")}): "warning"}


def test_critical_goes_before_warning_and_nan_is_as_bad_as_true(tsdb):
    """A group is critical, warning, ok, or what becomes of one that is not there any more."""
    found = alarm(["template = t", f"warn = last({LOAD}) > 1", f"crit = last({LOAD}) > 5"])
    gone = frozenset({("host", "c")})
    assert sorted(found.check(tsdb).values()) == ["critical", "warning"]
    assert found.check(tsdb, [gone])[gone] == "unknown"
    silent = alarm(["template = t", "ignoreUnknown = true", f"warn = last({LOAD}) > 1"])
    assert silent.check(tsdb, [gone])[gone] == "ignored"
    lost = alarm(["template = t", f"warn = last({ERRORS}) + last({LOAD}) > 100"])
    assert lost.check(tsdb)[frozenset({("host", "b")})] == "warning"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["warn = 1"], "template not found"),
        (["template = u", "warn = 1"], "template not found"),
        (["template = t"], "neither crit or warn"),
        (["template = t", "warn = $a"], r"unknown variable \$a"),
        (["template = t", "warn = 1", "warn = 2"], "duplicate key"),
        (["template = t", "wran = 1", "warn = 2"], "unknown key wran"),
        (["macro = m", "warn = 1"], "macro not found"),
        (["template = t", f"warn = {LOAD}"], "must return a number"),
        (["template = t", f"warn = last({LOAD})", f'crit = sum(t(last({LOAD}), ""))'], "must be equal"),
        (["template"], "expected a pair"),
    ],
)
def test_what_bosun_does_not_load_of_a_file(lines, why):
    """As it is told at Bosun's start."""
    with pytest.raises(Wrong, match=why):
        alarm(lines)
