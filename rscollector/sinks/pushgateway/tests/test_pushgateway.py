"""A real Pushgateway, to which an agent pushes its page; and one that answers as a test says."""

import ssl
import subprocess
import urllib.request
from base64 import b64encode

import pytest
from harness import free_port, until
from prometheus_client.parser import text_string_to_metric_families

from rscollector.api import Misconfigured, Unavailable
from rscollector.sinks.pushgateway import Pushgateway
from rscollector.testing import FakeContext
from rscollector.testing.http import FakeHttp, Reply

pytestmark = pytest.mark.needs("prometheus-pushgateway")
TOML = """
[agent]
host = "db1"
interval = "300ms"
backoff_max = "500ms"
[web]
listen = []
[collector.tame.good]
[sink.pushgateway.main]
url = "{url}"
{more}
"""

BASIC = "Basic " + b64encode(b"agent:secret").decode()
ENCRYPTED = """
tls_server_config:
  cert_file: {directory}/server.pem
  key_file: {directory}/server.pem
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: {directory}/ca.pem
basic_auth_users:
  agent: $2b$04$kW2l7W2N6NyxuEnTNhDIHeWrpGgm8V7.Vvk09xZaK.GYelJXnlZ4q
"""


class Gateway:
    """One Pushgateway, that can be ended and started again. `web` is its web configuration, if it has one."""

    def __init__(self, web=None, certificate=None):
        self.port = free_port()
        self.url = f"{'https' if web else 'http'}://localhost:{self.port}"
        self._options = [f"--web.config.file={web}"] if web else []
        self._tls = ssl._create_unverified_context()  # to look into it; the agent verifies
        if certificate:
            self._tls.load_cert_chain(certificate)
        self.start()

    def start(self):
        """Start it."""
        options = [f"--web.listen-address=127.0.0.1:{self.port}", "--persistence.file=", *self._options]
        command = ["prometheus-pushgateway", *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self.samples() is not None)

    def stop(self):
        """End it."""
        self._process.terminate()
        self._process.wait(60)

    def samples(self, name="tame_runs_total"):
        """Return the samples of a metric as (labels, value), None while nobody answers."""
        try:
            request = urllib.request.Request(f"{self.url}/metrics", headers={"Authorization": BASIC})
            with urllib.request.urlopen(request, timeout=5, context=self._tls) as answer:
                families = text_string_to_metric_families(answer.read().decode())
                return [
                    (each.labels, each.value)
                    for family in families
                    for each in family.samples
                    if each.name == name
                ]
        except OSError:
            return None


@pytest.fixture
def gateway():
    """Return a Pushgateway."""
    started = Gateway()
    yield started
    started.stop()


def test_the_page_is_pushed_at_each_tick_and_at_the_end(agent, gateway):
    """In place of the last one, under job and instance; the agent's own metrics are on it."""
    started = agent(TOML.format(url=gateway.url, more=""))
    until(lambda: gateway.samples() and gateway.samples()[0][1] >= 5)
    ((labels, _),) = gateway.samples()
    assert labels == {"job": "rscollector", "instance": "db1", "name": "good"}
    assert gateway.samples("rscollector_collector_up")
    until(lambda: started.value("sink_requests_total", status="2xx") >= 3)
    runs = started.value("tame_runs_total", name="good")
    assert started.stop() == 0
    assert gateway.samples()[0][1] >= runs


def test_groups_have_the_labels_that_are_asked_for_and_are_deleted_if_asked(agent, gateway):
    """A value that a path cannot have is encoded; after the end nothing is left."""
    more = 'job = "a job"\ngrouping = { empty = "", site = "a/b" }\ndelete_at_stop = true'
    started = agent(TOML.format(url=gateway.url, more=more))
    until(gateway.samples)
    labels = gateway.samples()[0][0]
    assert (labels["job"], labels["site"], labels.get("empty", "")) == ("a job", "a/b", "")
    assert started.stop() == 0
    assert gateway.samples() == []


def test_a_gateway_that_is_away_is_told_and_pushed_to_again(agent, gateway):
    """The reason is in the status; nothing else is held up."""
    started = agent(TOML.format(url=gateway.url, more=""))
    until(gateway.samples)
    gateway.stop()
    until(lambda: "nobody answers: Connection refused" in started.collector("pushgateway/main")["reason"])
    assert started.collector("tame/good")["up"]
    gateway.start()
    until(gateway.samples)
    assert started.value("rscollector_collector_ticks_missed_total", type="tame") == 0


def test_tls_and_users_are_those_of_the_gateway(agent, authorities):
    """With the right CA, certificate and password the page is taken; a wrong password is named."""
    web = authorities / "web.yml"
    web.write_text(ENCRYPTED.format(directory=authorities))
    gateway = Gateway(web, authorities / "client.pem")
    own = f'tls_certificate = "{authorities}/client.pem"\ntls_key = "{authorities}/client.pem"\n'
    more = f'tls_ca = "{authorities}/ca.pem"\n{own}user = "agent"\npassword = {{ env = "GATEWAY" }}\n'
    try:
        started = agent(TOML.format(url=gateway.url, more=more), GATEWAY="wrong")
        until(lambda: "401 Unauthorized" in started.collector("pushgateway/main")["reason"])
        assert started.state("pushgateway/main") == "removed"
        assert started.stop() == 0
        started = agent(TOML.format(url=gateway.url, more=more), GATEWAY="secret")
        until(gateway.samples)
        started.stop()
    finally:
        gateway.stop()


def test_what_a_receiver_says_that_is_no_gateway_is_in_the_reason(agent, receiver):
    """Its status, too."""
    started = agent(TOML.format(url=receiver.url, more=""))
    until(lambda: "501 Unsupported method" in started.collector("pushgateway/main")["reason"])


@pytest.fixture
def asked():
    """Return a fake of a Pushgateway, and a sink that is open and pushes to it."""
    with FakeHttp() as fake:
        sink = Pushgateway(Pushgateway.Settings(url=f"http://{fake.host}:{fake.port}", grouping={"of": "x"}))
        sink.open(FakeContext())
        yield fake, sink


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, Unavailable),
        (503, Unavailable),
        (400, Misconfigured),
        (401, Misconfigured),
        (404, Misconfigured),
    ],
)
def test_a_push_that_is_refused_is_tried_again_soon_only_where_that_may_help(asked, status, error):
    """A password or an address does not become right by itself."""
    fake, sink = asked
    fake.answers["/metrics/job/rscollector/of/x"] = Reply(status)
    sink.show(FakeContext(), b"page\n")
    with pytest.raises(error):
        list(sink.collect(FakeContext()))
    fake.answers["/metrics/job/rscollector/of/x"] = Reply(200)
    sink.close()
    assert [(each.method, each.body) for each in fake.requests] == [("PUT", b"page\n")] * 2


def test_an_end_before_the_first_page_leaves_the_group_as_it_was(asked):
    """An empty page would take what an agent before this one has pushed."""
    fake, sink = asked
    sink.close()
    assert fake.requests == []


def test_wrong_settings_are_named(rscollector, tmp_path):
    """Before anything is pushed."""
    config = tmp_path / "rscollector.toml"
    config.write_text('[sink.pushgateway.main]\nurl = "pushgateway:9091"\n')
    done = rscollector("check", "--config", config)
    assert done.returncode == 2
    assert "url: expected http:// or https:// and a host" in done.stderr
