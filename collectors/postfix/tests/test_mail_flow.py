"""A real Postfix, watched by an agent while its mail flows, or does not."""

import itertools
import subprocess
from pathlib import Path

import pytest
import watching
from harness import until
from scenes import shared_agent, told
from scraping import dashboard_queries, unanswered
from watching import section

from collectors.postfix.tests.hung import hung

pytestmark = [pytest.mark.needs("postfix", "prometheus", "root"), pytest.mark.timeout(180)]
AGENT = """
[agent]
interval = "200ms"
timeout = "2s"
backoff_max = "500ms"
[web]
listen = []
[collector.tame.neighbour]
"""


_numbers = itertools.count()


class Watched:
    """A mail server, and the agent that is told to watch it, too: under a name with which nothing was counted yet."""

    def __init__(self, agent, mail, **settings):
        self.agent, self.mail = agent, mail
        self.name = f"scene-{next(_numbers)}"
        given = {"queue_directory": f'"{mail.queue}"', "log": f'"{mail.root}/maillog"', **settings}
        agent.reload(agent.config.read_text() + section("postfix", self.name, **given))
        until(lambda: self.told("log_readable") == 1)

    def status(self):
        """Return the collector's status."""
        return self.agent.collector(f"postfix/{self.name}")

    def told(self, name, **labels):
        """Return a value that the collector tells, None if it is not there."""
        metric, wanted = f"postfix_{name}", {("name", self.name), *labels.items()}
        found = [value for (_, has), value in told(self.agent, metric).items() if wanted <= has]
        assert len(found) <= 1
        return found[0] if found else None

    def deliveries(self, status, digit):
        """Return the deliveries with this outcome, None if none are told.

        When a destination does not answer, what waits for it is deferred by the transport error.
        """
        wanted = {("name", self.name), ("status", status), ("class", digit)}
        samples = told(self.agent, "postfix_deliveries_total")
        found = [value for (_, has), value in samples.items() if wanted <= has]
        return sum(found) if found else None

    def has_sent(self, count):
        """Wait until so many deliveries have succeeded."""
        until(lambda: self.deliveries("sent", "2") == count, 60)

    def transmission(self, what):
        """Return a number of the histogram of the last stage."""
        labels = {"transport": "smtp", "stage": "transmission"}
        return self.told(f"delivery_delay_seconds_{what}", **labels)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Start an agent once."""
    with shared_agent(tmp_path_factory.mktemp("postfix"), AGENT) as agent:
        yield agent


@pytest.fixture
def watcher(started):
    """Return the agent, which forgets with the next configuration whom it has watched."""
    yield started
    started.config.write_text(AGENT)


@pytest.fixture
def watched(watcher, mail):
    """Return a mail server, and an agent that watches it."""
    return Watched(watcher, mail)


def test_mail_that_is_delivered_is_counted_once(watched):
    """What has come, what was sent and what has left are the same number."""
    watched.mail.sink("ok")
    watched.mail.send(300, "ok")
    watched.has_sent(300)
    until(lambda: watched.told("messages_removed_total") == 300)
    assert watched.told("messages_received_total", service="smtpd") == 300
    assert watched.told("connections_total", service="smtpd") >= 10
    assert watched.transmission("count") == 300
    until(lambda: watched.told("queue_messages", queue="active") == 0)


def test_a_destination_that_refuses_defers(watched):
    """Nobody listens there: each attempt is counted, and the message waits."""
    watched.mail.send(20, "down")
    until(lambda: watched.deliveries("deferred", "4") == 20)
    until(lambda: watched.told("queue_messages", queue="deferred") == 20)
    assert watched.deliveries("sent", "2") == 0
    assert watched.transmission("count") is None


def test_a_destination_that_refuses_for_good_bounces(watched):
    """The message leaves the queue, and so does its bounce, into nothing."""
    watched.mail.sink("hard", "-f", "RCPT")
    watched.mail.send(5, "hard")
    until(lambda: watched.deliveries("bounced", "5") == 5)


def test_a_destination_that_accepts_slowly_is_seen_in_the_delay(watched):
    """More than a second for each message (smtp-sink counts whole ones), in the stage in which they pass."""
    watched.mail.sink("crawl", "-w", "2")
    watched.mail.send(5, "crawl")
    until(lambda: watched.told("queue_messages", queue="active") == 5)
    watched.has_sent(5)
    assert watched.transmission("count") == 5
    assert watched.transmission("sum") > 5


def test_a_destination_that_is_a_black_hole_defers_after_the_timeout(watched):
    """Nobody answers at all: the messages stay active until Postfix gives up, then they are deferred."""
    watched.mail.send(5, "dark")
    until(lambda: watched.told("queue_messages", queue="active"))
    until(lambda: watched.deliveries("deferred", "4") == 5, 60)
    until(lambda: watched.told("queue_messages", queue="deferred") == 5)


def test_what_is_refused_at_the_door_is_counted(watched):
    """By command and by class."""
    watched.mail.try_to_send("refused")
    labels = {"service": "smtpd", "stage": "rcpt", "class": "5"}
    until(lambda: watched.told("rejects_total", **labels))


def test_a_log_that_postfix_rotates_and_compresses_at_once_costs_no_line(watched):
    """The old file is read to its end, though it has no name any more."""
    watched.mail.sink("ok")
    for number in range(1, 3):
        watched.mail.send(100, "ok")
        command = ["postfix", "-c", watched.mail.config, "logrotate"]
        done = subprocess.run(command, check=False, capture_output=True, timeout=60)
        assert done.returncode == 0, done
        watched.mail.send(10, "ok")
        watched.has_sent(number * 110)
        until(lambda: not list(watched.mail.root.glob("maillog.*[0-9]")))
    assert list(watched.mail.root.glob("maillog.*.gz"))
    assert watched.told("log_gaps_total") == 0
    assert watched.told("log_malformed_lines_total") == 0


def test_a_postfix_that_stops_and_starts_is_followed(watched):
    """The queue is told meanwhile, and counting goes on where it was."""
    watched.mail.sink("ok")
    watched.mail.send(10, "ok")
    watched.has_sent(10)
    watched.mail.stop()
    watched.mail.drop(3)
    until(lambda: watched.told("queue_messages", queue="maildrop") == 3)
    watched.mail.start()
    watched.mail.send(10, "ok")
    watched.has_sent(20)
    until(lambda: watched.told("queue_messages", queue="maildrop") == 0)


def test_a_queue_that_was_moved_is_missed_by_name(watched):
    """Somebody has to say where it is now; when it is back, all is well."""
    watched.mail.stop()
    away = watched.mail.queue.with_name("away")
    watched.mail.queue.rename(away)
    try:
        until(lambda: watched.told("queue_messages", queue="deferred") is None)
        reason = watched.status()["reason"]
        assert (
            f"{watched.mail.queue}: no such directory: is Postfix installed, or is its queue elsewhere?"
            in reason
        )
    finally:
        away.rename(watched.mail.queue)
    watched.agent.reload()
    until(lambda: watched.told("queue_messages", queue="deferred") == 0)


def test_a_log_that_nobody_may_read_does_not_cost_the_queues(watched):
    """The queues are told, the flow is not, and `status` says why."""
    log = watched.mail.root / "maillog"
    watched.mail.stop()
    log.rename(log.with_name("maillog-away"))
    watched.agent.reload(watched.agent.config.read_text() + 'interval = "300ms"\n')  # it begins anew
    until(lambda: watched.told("log_readable") == 0)
    assert watched.told("queue_messages", queue="deferred") == 0
    assert watched.deliveries("sent", "2") is None
    assert "maillog: no such file: does Postfix log there?" in watched.status()["notes"][0]


@pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="needs /dev/fuse")
def test_a_queue_on_a_file_system_that_hangs_costs_the_worker_and_nobody_else(watched):
    """The worker is killed at its deadline with the place in the code; the neighbour goes on."""
    before = watched.agent.value("tame_runs_total", name="neighbour")
    missed = watched.agent.value("rscollector_collector_ticks_missed_total", type="tame")
    with hung(watched.mail.queue / "hold"):
        until(lambda: f"postfix/{watched.name}: no answer for 2 s, killed (in " in watched.agent.log)
        assert "collectors/postfix/directories.py" in watched.status()["last_stack"]
        assert watched.told("queue_messages", queue="deferred") is None
        until(lambda: watched.agent.value("tame_runs_total", name="neighbour") >= before + 10)
    watched.agent.reload()
    until(lambda: watched.told("queue_messages", queue="hold") == 0)
    assert watched.agent.value("rscollector_collector_ticks_missed_total", type="tame") == missed


def test_a_prometheus_alerts_and_answers_every_query_of_the_dashboard(agent, mail, shared_prometheus):
    """The relay is down, and mail waits; then it is sent, and all is quiet."""
    toml = watching.AGENT.format(listen=f'"{shared_prometheus.target}"') + section(
        "postfix", "main", queue_directory=f'"{mail.queue}"', log=f'"{mail.root}/maillog"'
    )
    watched = watching.Watch(agent(toml), shared_prometheus)
    until(lambda: watched.value("postfix_log_readable", "main") == 1)
    # so that Prometheus sees it grow
    until(lambda: shared_prometheus.results("postfix_messages_received_total == 0"))
    mail.send(20, "ok")
    shared_prometheus.fires("PostfixNothingSent")
    mail.sink("ok")
    mail.sink("hard", "-f", "RCPT")
    command = ["postqueue", "-c", mail.config, "-f"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    until(lambda: watched.value("postfix_deliveries_total", "main", transport="smtp", status="sent"))
    until(lambda: "PostfixNothingSent" not in shared_prometheus.firing(), 60)

    def provoke():
        mail.send(3, "ok")
        mail.send(1, "hard")
        mail.send(1, "down")
        mail.try_to_send("refused")

    def of_something(found):
        return found and all(each["value"][1] != "NaN" for each in found)

    queries = dashboard_queries("postfix", instance=".*", name=".*")
    assert len(queries) > 20
    assert unanswered(shared_prometheus, queries, of_something, provoke) == []


def test_two_instances_have_their_own_logs_and_names(watcher, mail_servers):
    """In one file they are told apart by syslog_name."""
    mail = mail_servers("syslog_name = postfix-in\n")
    watched = Watched(watcher, mail, syslog_name='"postfix-in"')
    mail.sink("ok")
    mail.send(7, "ok")
    watched.has_sent(7)
    other = Watched(watcher, mail)
    mail.send(7, "ok")
    watched.has_sent(14)
    assert other.told("log_lines_total") == 0
