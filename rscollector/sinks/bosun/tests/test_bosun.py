"""The sink bosun in a real agent, before a receiver that is in every mood."""

import json
import re
import time
from pathlib import Path

import pytest
from arrivals import TOML, all_until_now, doubled, in_spool, sent
from harness import until
from receiver import Receiver


def test_every_sample_arrives_once_with_its_tags(sending, receiver):
    """As a number, with whole seconds, in batches, compressed."""
    started = sending()
    until(lambda: len(sent(receiver)) >= 10)
    assert sent(receiver)[:10] == list(range(1, 11))
    tags = {tags for metric, tags, *_ in receiver.points if metric == "tame.runs.total"}
    assert tags == {(("domain", "example"), ("host", "db1"), ("name", "good"))}
    assert doubled(receiver) == []
    assert receiver.headers[0]["Content-Encoding"] == "gzip"
    assert max(receiver.requests) > 1
    until(lambda: started.value("sink_sent_points_total", name="main") >= 10)
    assert started.value("sink_requests_total", status="2xx") >= 1
    assert started.value("sink_spool_persistent") == 1


@pytest.mark.parametrize("mood", [400, 500, 503, 429, 401, 404, "silent", "strange"])
def test_what_the_receiver_does_not_take_is_kept_and_sent_when_it_does(sending, receiver, rscollector, mood):
    """Nothing is lost, the reason is told, and ticks go on."""
    receiver.mood = mood
    receiver.retry_after = "1" if mood == 429 else ""
    started = sending('request_timeout = "500ms"')
    until(lambda: (started.value("sink_queued_points") or 0) >= 10)
    until(lambda: started.collector("bosun/main")["state"] == "backoff")
    assert not started.value("rscollector_collector_up", type="bosun")
    reason = started.collector("bosun/main")["reason"]
    assert re.search(
        rf"^{receiver.url}/api/put: .+; nothing has been taken since .+ UTC; \d+ points wait; lost so far: none$",
        reason,
    )
    assert f"bosun/main: {receiver.url}/api/put: " in started.log
    assert rscollector("status", "--socket", started.socket).returncode == 1
    assert started.value("rscollector_collector_ticks_missed_total", type="tame") == 0
    receiver.mood = "ok"
    until(all_until_now(receiver, started))
    assert doubled(receiver) == []
    until(lambda: started.collector("bosun/main")["state"] in ("idle", "collecting"))
    assert not started.collector("bosun/main")["reason"]
    assert started.log.rpartition("it is tried again")[2].count("bosun/main: collecting") == 1


def test_a_receiver_that_is_not_there_costs_nothing(agent):
    """When it comes, it gets all."""
    absent = Receiver()
    port = absent.port
    absent.close()
    started = agent(TOML.format(url=f"http://127.0.0.1:{port}", more=""))
    until(lambda: (started.value("sink_queued_points") or 0) >= 10)
    until(lambda: "nobody answers: Connection refused" in started.collector("bosun/main")["reason"])
    receiver = Receiver(port)
    try:
        until(all_until_now(receiver, started))
    finally:
        started.stop()
        receiver.close()


def test_one_bad_point_in_a_batch_is_put_aside_and_the_others_are_taken(sending, receiver, tmp_path):
    """It is found by halving, is counted, and is readable with a shell."""
    started = sending(f'spool = "{tmp_path}/spool"\n[collector.tame.poison]\n')
    until(lambda: len(sent(receiver)) > 5)
    until(all_until_now(receiver, started))
    until(lambda: (started.value("sink_rejected_points_total", reason="bad") or 0) > 3)
    lines = [
        line for file in (tmp_path / "spool" / "rejected").iterdir() for line in file.read_text().splitlines()
    ]
    aside = json.loads(lines[0])
    assert aside["point"]["tags"]["name"] == "poison"
    assert "/api/put: 400 Bad Request" in aside["reason"]
    assert started.value("sink_dropped_points_total", reason="damaged") == 0


def test_a_point_that_draws_an_error_for_ever_is_stepped_over(sending, receiver):
    """OpenTSDB stumbles over some; the others arrive, it is kept and told, and the sink is up."""
    receiver.stumbles_at = ("tame.runs.total", 7)
    started = sending()
    until(lambda: len(sent(receiver)) > 12)
    until(lambda: (started.value("sink_stepped_over_points") or 0) == 1)
    until(
        lambda: (
            "1 points are stepped over, and tried again: " in str(started.collector("bosun/main")["notes"])
        )
    )
    assert 7 not in sent(receiver)
    until(lambda: started.collector("bosun/main")["up"])
    assert started.value("sink_rejected_points_total", reason="bad") == 0


def test_characters_that_opentsdb_does_not_know_are_replaced(sending, receiver):
    """A quote, a line end, what is no text at all."""
    sending('[collector.tame.odd]\ndo = "labels"\n')
    until(lambda: any(metric == "tame.text.info" for metric, *_ in receiver.points.copy()))
    texts = {dict(tags)["text"] for metric, tags, *_ in receiver.points.copy() if metric == "tame.text.info"}
    assert texts == {"a__quoted___line", "caf_"}


def test_a_stop_sends_what_is_left(sending, receiver):
    """The last run that the agent has committed is there when the agent is gone."""
    started = sending()
    until(lambda: len(sent(receiver)) >= 3)
    runs = int(started.value("tame_runs_total", name="good"))
    assert started.stop() == 0
    assert sent(receiver)[:runs] == list(range(1, runs + 1))
    assert "are lost" not in started.log


def test_what_a_killed_agent_has_left_is_sent_by_the_next(sending, receiver, tmp_path):
    """The sink's process keeps what it has read, and lets go of the spool; the next agent sends it on."""
    receiver.mood = 503
    state = {"STATE_DIRECTORY": str(tmp_path / "state")}
    first = sending(**state)
    until(lambda: (first.value("sink_queued_points") or 0) >= 10)
    kept = in_spool(tmp_path / "state" / "bosun" / "main")
    first.process.kill()
    first.process.wait()
    receiver.mood = "ok"
    sending(**state)
    until(lambda: kept <= set(receiver.points.copy()))
    assert len(kept) >= 10
    assert doubled(receiver) == []


def test_the_backlog_survives_in_files_that_say_what_they_are(sending, receiver, tmp_path):
    """A batch's name has its time and its number of points, its lines are the points."""
    receiver.mood = 503
    started = sending(f'spool = "{tmp_path}/spool"')
    until(lambda: (started.value("sink_queued_points") or 0) >= 3)
    file = min(Path(tmp_path, "spool").glob("*.batch"))
    head, *lines = file.read_text().splitlines()
    assert head.startswith("rscollector 2 ")
    assert json.loads(lines[0])["tags"]["host"] == "db1"
    assert file.name.endswith(f"-{len(lines)}.batch")


def test_the_receiver_is_told_once_what_the_metrics_are(sending, receiver):
    """Rate, unit and description; a histogram is three metrics."""
    sending()
    until(lambda: ("tame.runs.total", "rate", "counter") in receiver.metadata)
    assert ("tame.runs.total", "desc", "How often it was asked.") in receiver.metadata
    until(lambda: len(sent(receiver)) > 12)
    assert len(receiver.metadata) == len(set(receiver.metadata))


@pytest.mark.parametrize("mood", [404, 400, 503, "silent"])
def test_metadata_that_are_refused_hold_up_no_points(sending, receiver, mood):
    """That is no failure, `status` says it, and it is not asked at each tick; nor does it delay the end."""
    receiver.metadata_mood = mood
    started = sending('request_timeout = "10s"' if mood == "silent" else "")
    until(lambda: any(path.endswith("/metadata/put") for path in receiver.paths))
    if mood != "silent":
        until(lambda: "the receiver takes no metadata" in str(started.collector("bosun/main")["notes"]))
    before = len(sent(receiver))
    until(lambda: len(sent(receiver)) > before + 10)
    until(all_until_now(receiver, started))
    assert started.collector("bosun/main")["up"]
    assert len([path for path in receiver.paths if path.endswith("/metadata/put")]) == 1
    runs = int(started.value("tame_runs_total", name="good"))
    assert started.stop() == 0
    assert sent(receiver)[:runs] == list(range(1, runs + 1))


def test_bosuns_page_of_the_host_is_not_empty(sending, receiver):
    """It is told once what the host is."""
    sending()
    until(lambda: any(name == "version" for _, name, _ in receiver.hosts))
    assert {(("host", "db1"),)} == {tags for tags, name, _ in receiver.hosts if name == "uname"}
    assert len(receiver.hosts) == len(set(receiver.hosts))


def test_filter_and_prefix_decide_what_is_sent_and_told(sending, receiver):
    """Points and metadata alike; what waits when they are changed keeps the name that it was made with."""
    receiver.mood = 503
    started = sending()
    until(lambda: (started.value("sink_queued_points") or 0) >= 10)
    more = 'prefix = "prod."\nfilter = { include = ["tame.*"], exclude = ["*.info"] }'
    started.reload(TOML.format(url=receiver.url, more=more))
    receiver.mood = "ok"
    until(lambda: ("prod.tame.runs.total", "rate", "counter") in receiver.metadata)
    names = lambda: {metric for metric, *_ in receiver.points.copy()}  # noqa: E731
    until(lambda: "prod.tame.runs.total" in names())
    until(lambda: "tame.runs.total" in names())
    assert {name for name in names() if name.startswith("prod.")} == {"prod.tame.runs.total"}
    assert {name for name, *_ in receiver.metadata} == {"prod.tame.runs.total"}


def test_a_filter_that_lets_nothing_through_is_told(sending):
    """In `status`: it is no failure, and may be meant."""
    started = sending('filter = { include = ["tume.*"] }')
    until(
        lambda: "metrics that were collected so far is sent" in str(started.collector("bosun/main")["notes"])
    )
    assert started.collector("bosun/main")["up"]


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ('url = "bosun:8070"', "expected http:// or https:// and a host"),
        ('url = "http://bosun:99999"', "url: expected a port from 0 to 65535"),
        ('url = "http://bosun:abc"', "url: expected a port from 0 to 65535"),
        ('url = "http://bo sun:1"', "url: expected neither blanks nor ? or # in it"),
        ('url = "http://bosun/?x"', "url: expected neither blanks nor ? or # in it"),
        ('url = "http://bosun/\\u0000x"', "url: expected neither blanks nor ? or # in it"),
        ('url = "http://bosun"\nspool = "here"', "spool: expected an absolute path"),
        ('url = "http://a:b@bosun"', "user and password have settings of their own"),
        ('url = "http://bosun"\nbatch = 0', "batch is at least 1"),
        ('url = "http://bosun"\ndrain = { points = 1000 }', 'a rate such as "1000/s"'),
        ('url = "http://bosun"\ntls_key = "x"', "tls_key: it belongs to a tls_certificate"),
        ('url = "http://bosun"\nprefix = "a b"', "prefix: expected letters, digits, and - _ . /"),
        ('url = "http://bosun"\nfilter = { include = ["^os"] }', "'^os' is no pattern of names"),
        ('url = "http://bosun"\nfilter = { exclude = ["a|b"] }', "'a|b' is no pattern of names"),
        ('url = "http://bosun"\nfilter = { exclude = [""] }', "'' is no pattern of names"),
        ('url = "http://bosun"\nfilter = { exclude = ["a["] }', "'a[' is no pattern of names"),
        ('url = "http://bosun"\nfilter = { only = [] }', "filter.only: unknown key"),
        ("", "sink.bosun.main.url: is required"),
    ],
)
def test_wrong_settings_are_named_with_their_place(rscollector, tmp_path, given, wrong):
    """Before anything is sent."""
    config = tmp_path / "rscollector.toml"
    config.write_text(f"[sink.bosun.main]\n{given}\n")
    done = rscollector("check", "--config", config)
    assert done.returncode == 2
    assert wrong in done.stderr
    assert "sink.bosun.main" in done.stderr


def test_a_reload_that_changes_the_sink_loses_nothing(sending, receiver):
    """What comes while the old one ends is given to the new one."""
    started = sending()
    for number in range(6):
        until(lambda: len(sent(receiver)) >= 3)
        started.reload(TOML.format(url=receiver.url, more=f'drain = {{ points = "{1000 + number}/s" }}'))
    until(all_until_now(receiver, started))
    assert started.value("rscollector_sink_dropped_points_total", type="bosun", reason="room") == 0
    assert doubled(receiver) == []


def test_what_the_sink_tells_of_itself_is_sent_too(sending, receiver):
    """With no question of its own: else each would make the next one."""
    started = sending()
    until(lambda: any(metric == "sink.sent.points.total" for metric, *_ in receiver.points.copy()))
    began = time.monotonic()
    before = started.value("rscollector_collector_runs_total", type="bosun", result="success")
    time.sleep(2)
    runs = started.value("rscollector_collector_runs_total", type="bosun", result="success") - before
    took = time.monotonic() - began
    assert runs <= took / 0.3 + took + 2


def test_a_ca_that_is_not_there_is_misconfigured(sending):
    """In one sentence, before anything is sent."""
    started = sending('tls_ca = "/nonexistent/ca.pem"')
    until(lambda: started.state("bosun/main") == "removed")
    reason = started.collector("bosun/main")["reason"]
    assert reason.startswith("tls_ca = /nonexistent/ca.pem: No such file or directory")


def test_what_the_agent_knows_of_its_collectors_is_sent_too(sending, receiver):
    """Also of one that fails and has nothing to tell: who has no Prometheus is woken by it."""
    sending('[collector.rogue.bad]\ndo = "unavailable"\n')
    told = lambda metric: {  # noqa: E731
        (dict(tags).get("type"), dict(tags).get("name")): value
        for (name, tags, _, value) in sorted(receiver.points.copy(), key=lambda point: point[2])
        if name == metric
    }
    until(lambda: told("rscollector.collector.up").get(("tame", "good")) == 1)
    until(lambda: told("rscollector.collector.up").get(("rogue", "bad")) == 0)
    until(lambda: told("rscollector.uptime.seconds").get((None, None), 0) > 0)
    assert ("tame", "good") in told("rscollector.collector.state")


def test_a_receiver_that_makes_no_metric_by_itself_gets_those_that_it_knows(sending, receiver):
    """The others are put aside, and after two refusals of each series they cost it no question."""
    receiver.unknown = {"sink.requests.total", "sink.rejected.points.total", "sink.dropped.points.total"}
    started = sending()
    rejected = lambda: started.value("sink_rejected_points_total", reason="bad") or 0  # noqa: E731

    def costs_no_question():
        before, in_vain = rejected(), receiver.in_vain
        until(lambda: rejected() > before + 30)
        return receiver.in_vain == in_vain

    until(costs_no_question)
    until(all_until_now(receiver, started))


def test_what_was_taken_is_not_sent_again_when_the_answer_breaks_off(sending, receiver):
    """The status says whose the points are; the rest of the answer is not worth a second copy of them."""
    receiver.mood = "short"
    started = sending()
    until(lambda: len(sent(receiver)) > 10)
    until(all_until_now(receiver, started))
    assert doubled(receiver) == []
