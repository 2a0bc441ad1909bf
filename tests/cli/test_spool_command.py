"""`rscollector spool` on a spool that an agent has left, and on one that is in use."""

import json

import pytest
from harness import until

from rscollector.sinks.spool import Bounds, Spool

ROOMY = Bounds(1 << 30, 1e12, 0, 0)
TOML = '[sink.bosun.main]\nurl = "http://127.0.0.1:1"\nspool = "{}"\nspool_free = 0\n'


@pytest.fixture
def waiting(tmp_path, rscollector):
    """Return a spool with three batches, and how to run the command on it."""
    spool = Spool(tmp_path / "spool", ROOMY)
    for number in range(3):
        spool.put([b'{"number":%d}' % number, b'{"more":1}'])
    config = tmp_path / "rscollector.toml"
    config.write_text(TOML.format(tmp_path / "spool"))

    def run(*arguments):
        done = rscollector("spool", *arguments, "--config", config)
        assert "Traceback" not in done.stderr
        return done

    return spool, run


def told(done):
    """Return the lines as JSON."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_waits_is_listed_the_oldest_first(waiting):
    """With its sink, its name, its age and its size."""
    spool, run = waiting
    done = run("list")
    assert done.returncode == 0
    assert [each["id"] for each in told(done)] == [batch.name.removesuffix(".batch") for batch in spool]
    assert all(each["sink"] == "bosun/main" and each["points"] == 2 for each in told(done))
    assert 0 <= told(done)[0]["age_seconds"] < 60
    assert told(run("list", "--older", "1h")) == []


def test_the_points_of_a_batch_are_shown(waiting):
    """As they would be sent."""
    _, run = waiting
    name = told(run("list"))[1]["id"]
    assert told(run("show", name)) == [{"number": 1}, {"more": 1}]


def test_a_damaged_batch_is_found(waiting, tmp_path):
    """And named, with exit status 1."""
    spool, run = waiting
    assert run("verify").returncode == 0
    hurt = list(spool)[1]
    (tmp_path / "spool" / hurt.name).write_bytes(b"rscollector 1 00000000\nx\n")
    done = run("verify")
    assert done.returncode == 1
    assert [each["ok"] for each in told(done)] == [True, False, True]
    assert run("show").returncode == 1


def test_batches_are_dropped_by_name_or_all(waiting):
    """Only what is meant; to drop everything one has to say so."""
    _, run = waiting
    assert run("drop").returncode == 2
    name = told(run("list"))[0]["id"]
    assert told(run("drop", name)) == [{"sink": "bosun/main", "id": name, "dropped": True, "points": 2}]
    gone = run("drop", name)
    assert gone.returncode == 1
    assert f"no batch {name} waits; perhaps it was sent" in gone.stderr
    assert len(told(run("drop", "--all"))) == 2
    assert run("list").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (("list", "--older", "5"), "--older: expected a duration"),
        (("list", "--sink", "bosun/other"), "no sink is called 'bosun/other'; there are: bosun/main"),
        (("drop",), "say which"),
    ],
)
def test_wrong_arguments_give_a_sentence_and_status_2(waiting, arguments, wrong):
    """What, where, what to do."""
    done = waiting[1](*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert wrong in done.stderr


def test_it_works_while_the_agent_runs(agent, rscollector, tmp_path):
    """What is dropped under a running sink is counted as removed, and is no failure."""
    toml = (
        TOML.format(tmp_path / "spool")
        + '[agent]\ninterval = "200ms"\n[web]\nlisten = []\n[collector.tame.good]\n'
    )
    started = agent(toml)
    until(lambda: (started.value("sink_queued_points") or 0) >= 3)
    done = rscollector("spool", "drop", "--all", "--config", started.config)
    assert done.returncode == 0
    assert len(told(done)) >= 1
    until(lambda: (started.value("sink_dropped_points_total", reason="removed") or 0) >= 1)
    assert started.collector("bosun/main")["trouble"] == "unavailable"  # its receiver is not there
