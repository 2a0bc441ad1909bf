"""Points: which tags they have, and which of them are sent under which name."""

import json

import pytest

from rscollector.api import Kind, Metric, Series
from rscollector.sinks.bosun import opentsdb
from rscollector.sinks.bosun.opentsdb import Names, Points
from rscollector.wire.layouts import Columns

GAUGE = Metric("galera_cluster_size", Kind.GAUGE, "Members.", labels=("member",))
OTHER = Metric("vip_bound", Kind.GAUGE, "Bound.")
TIME = Metric("sink_time_seconds", Kind.HISTOGRAM, "Time.", unit="seconds", buckets=(1.0,))


def points(*samples, host="db1", tags=None, **more):
    """Return the points of one run as they are sent."""
    made = Points(host, tags or {}, **more)
    return [json.loads(line) for line in made.lines(1, "main", samples)]


@pytest.mark.parametrize("given", [{"host": "x"}, {"host": "x", "name": "y"}, {"member": "z"}])
def test_configured_tags_take_the_place_of_nothing(given):
    """Neither of the host, nor of a name or a label of ours; others that have a text are added."""
    (point,) = points((GAUGE, ("b",), 3), tags={**given, "rack": "12", "row": ""})
    assert point["tags"] == {"host": "db1", "name": "main", "member": "b", "rack": "12"}


def test_there_are_eight_tags_at_most_and_the_host_is_among_them():
    """Those that were configured last are left out."""
    (point,) = points((OTHER, (), 1), tags={f"t{number}": "x" for number in range(9)})
    assert len(point["tags"]) == 8
    assert point["tags"]["host"] == "db1"
    assert "t6" not in point["tags"]


def names(*samples, names, translate=None):
    """Return the names under which samples are sent."""
    return sorted({point["metric"] for point in points(*samples, names=names, translate=translate)})


SAMPLES = ((GAUGE, ("b",), 3), (OTHER, (), 1), (TIME, (), TIME.distribution([0.5])))


@pytest.mark.parametrize(
    ("include", "exclude", "sent"),
    [
        ((), (), ["galera.cluster.size", "sink.time.seconds.bucket", "sink.time.seconds.count",
                  "sink.time.seconds.sum", "vip.bound"]),
        (("galera.*",), (), ["galera.cluster.size"]),
        (("galera_cluster_size", "vip.boun?"), (), ["galera.cluster.size", "vip.bound"]),
        ((), ("sink.*",), ["galera.cluster.size", "vip.bound"]),
        (("[gv]*",), ("*.size",), ["vip.bound"]),
        ((), ("*.bucket",), ["galera.cluster.size", "sink.time.seconds.count", "sink.time.seconds.sum", "vip.bound"]),
        (("galera",), (), []),
    ],
)  # fmt: skip
def test_the_filter_decides_by_the_name(include, exclude, sent):
    """Of the whole name, as Bosun or as Prometheus writes it; what is excluded is not sent even if included."""
    assert names(*SAMPLES, names=Names(include=include, exclude=exclude)) == sent


def test_the_prefix_stands_before_each_name_and_is_nothing_to_the_filter():
    """The pattern is that of the name itself."""
    assert names(*SAMPLES, names=Names("prod.", include=["galera.*"])) == ["prod.galera.cluster.size"]


def test_filter_and_prefix_know_the_translated_names():
    """With the old names, those are what is sent."""
    translate = lambda _: [Series("galera.wsrep.ready", {}, 0), Series("os.net.has_ipv4s", {}, 1)]  # noqa: E731
    assert names(names=Names("a.", exclude=["os.*"]), translate=translate) == ["a.galera.wsrep.ready"]
    assert names(names=Names(include=["os.net.has_ipv4s"]), translate=translate) == ["os.net.has_ipv4s"]


def test_what_the_filter_leaves_out_is_not_counted_as_unsendable():
    """It was meant."""
    made = Points("db1", {}, names=Names(include=["x"]))
    assert list(made.lines(1, "main", SAMPLES)) == []
    assert made.refused.total() == 0


def test_a_filter_that_was_not_meant_so_is_told():
    """A pattern that fits nothing, or that nothing passes; but nothing before anything was collected."""
    chosen = Names(include=["galera.*", "mogodb.*"])
    assert list(chosen.notes()) == []
    chosen("vip.bound")
    assert list(chosen.notes()) == [
        "filter: none of the 1 metrics that were collected so far is sent",
        "filter: include = galera.*: no metric that was collected so far has such a name",
        "filter: include = mogodb.*: no metric that was collected so far has such a name",
    ]
    chosen("galera.ready")
    assert list(chosen.notes()) == [
        "filter: include = mogodb.*: no metric that was collected so far has such a name"
    ]


def test_what_is_kept_of_layouts_is_bounded(monkeypatch):
    """A collector whose series change at each run has ever new ones."""
    monkeypatch.setattr(opentsdb, "_REMEMBERED", 10)
    made = Points("db1", {})
    for second in range(100):
        layout = Columns([GAUGE] * 3, [(each,) for each in "abc"])
        assert len(list(made.lines(second, "main", layout.with_values([1, 2, 3])))) == 3
    assert sum(len(rows) for _, rows in made._layouts.values()) <= 10
