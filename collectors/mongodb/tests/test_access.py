"""How a real server is reached, and every way in which it can refuse: the sentence that the operator reads."""

import socket

import psutil
import pytest
from harness import until
from watching import AGENT

from collectors.mongodb.tests.replica_set import PASSWORD, USER
from collectors.mongodb.tests.watching_mongodb import Watch, section

pytestmark = [pytest.mark.needs("mongod"), pytest.mark.timeout(180)]
QUICK = ("--timeout", "3")  # where TLS fails the driver tries until its share of that is over


@pytest.fixture
def collect(rscollector):
    """Run `rscollector collect mongodb` with settings and arguments; returns the finished process."""

    def run(*arguments, secret=PASSWORD, **settings):
        told = {name: shown(value) for name, value in settings.items()}
        if "user" in told:
            told["password"] = '{ env = "MONGODB" }'
        options = (part for name, value in told.items() for part in ("--set", f"{name}={value}"))
        return rscollector("collect", "mongodb", *arguments, *options, MONGODB=secret)

    def shown(value):
        return str(value).lower() if isinstance(value, int) else f'"{value}"'

    return run


def test_the_state_is_explained_on_the_command_line(collect, replicas):
    """`rscollector collect mongodb --explain` says what is."""
    primary = replicas.primary()
    done = collect("--explain", port=primary.port, user=USER)
    assert done.returncode == 0, done.stderr
    assert f"In the set rs0, {primary.address} is primary: it takes the writes (myState = 1)." in done.stdout


def test_a_connection_string_is_as_good_as_host_and_port(collect, replicas):
    """With the options that it has, and user and password beside it."""
    uri = f"mongodb://{replicas.primary().address}/?appName=other"
    assert collect(uri=uri, user=USER).returncode == 0


@pytest.mark.parametrize(
    ("settings", "secret", "sentence"),
    [
        ({"user": USER}, "wrong-secret", "misconfigured: {}: the user or the password is wrong"),
        ({"user": USER, "auth_database": "test"}, PASSWORD, "(auth_database) (18: Authentication failed.)"),
        ({}, PASSWORD, "misconfigured: {}: the server asks for `user` and `password`"),
        ({"user": USER, "tls": True}, PASSWORD, "unavailable: {}: TLS failed, or the server offers none: "),
    ],
)
def test_a_refusal_is_one_sentence(collect, replicas, settings, secret, sentence):
    """Wrong password, wrong database, no user, TLS where there is none: each says what to mend, without a secret."""
    primary = replicas.primary()
    done = collect(*QUICK, port=primary.port, secret=secret, **settings)
    assert done.returncode == 1
    assert sentence.format(primary.address) in done.stderr
    assert "wrong-secret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_user_without_the_role_is_told_which_one(collect, replicas):
    """The server knows the user, and lets it ask nothing."""
    primary = replicas.primary()
    with primary.client() as client:
        client.admin.command("createUser", "poor", pwd=PASSWORD, roles=[])
        done = collect(port=primary.port, user="poor")
        client.admin.command("dropUser", "poor")
    assert done.returncode == 1
    assert "misconfigured: " in done.stderr
    assert "the user may not do this; it needs the role clusterMonitor (13: not authorized" in done.stderr


def test_nobody_there_is_said_at_once(collect):
    """A port that refuses is no reason to wait for the driver's timeout."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = collect(port=port)
    assert (
        f"unavailable: 127.0.0.1:{port}: nobody listens there; the server is down or starting" in done.stderr
    )


def test_a_server_of_its_own_is_no_failure(collect, mongod):
    """It belongs to no replica set: its own numbers are there, and a note says what is missing."""
    alone = mongod()
    done = collect(port=alone.port)
    assert done.returncode == 0, done.stderr
    assert "mongodb_connections_current" in done.stdout
    assert "mongodb_primaries" not in done.stdout
    assert "the server is no member of a replica set" in done.stdout + done.stderr


def test_a_member_that_was_never_initiated_says_so(collect, mongod):
    """It waits for its configuration."""
    done = collect(port=mongod(replSet="rs9").port)
    assert done.returncode == 0, done.stderr
    assert "the set is not initiated" in done.stdout + done.stderr


def test_a_port_that_accepts_and_never_answers_is_given_up_in_time(agent, replicas):
    """The driver's timeouts are a courtesy: the deadline holds whatever they do; the others are on time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        member = replicas.members[0]
        hung = section(member, "hung", port=silent.getsockname()[1])
        watch = Watch(agent(AGENT.format(listen="") + hung + section(member), MONGODB=PASSWORD), None)
        runs = "rscollector_collector_runs_total"
        results = ("hang", "unavailable")
        until(lambda: sum(watch.value(runs, "hung", type="mongodb", result=each) for each in results) >= 2)
        until(lambda: watch.up("m1") == 1)
        watch.unharmed()
        until(lambda: "does not answer" in watch.agent.collector("mongodb/hung")["reason"])


def test_nothing_spins_when_the_server_is_gone(agent, mongod):
    """After a failure the driver's threads are ended: what waits for the server costs no CPU and no connection."""
    alone = mongod()
    slow = (
        AGENT.format(listen="")
        .replace('backoff_min = "200ms"', 'backoff_min = "30s"')
        .replace('"1s"\\nmax', '"60s"\\nmax')
    )
    slow = slow.replace('backoff_max = "1s"', 'backoff_max = "60s"')
    watch = Watch(
        agent(slow + section(alone, user='""').replace('password = { env = "MONGODB" }\n', "")), None
    )
    until(lambda: watch.up("alone") == 1)
    (pid,) = [each["worker_pid"] for each in watch.agent.status()["collectors"] if each["name"] == "alone"]
    worker = psutil.Process(pid)
    assert worker.num_threads() > 1
    alone.kill()
    until(lambda: watch.up("alone") == 0)
    until(lambda: worker.num_threads() == 1)


def test_tls_is_verified_or_refused(collect, mongod, authorities):
    """CA, host name and client certificate: what fits is let in, and of what does not each is named."""
    server = mongod(
        tlsMode="requireTLS", tlsCertificateKeyFile=authorities / "server.pem", tlsCAFile=authorities / "ca.pem",
        probe={"host": "localhost", "tls": True, "tlsCAFile": str(authorities / "ca.pem"),
               "tlsCertificateKeyFile": str(authorities / "client.pem")},
    )  # fmt: skip
    own = {"tls_certificate": authorities / "client.pem"}
    fits = {"host": "localhost", "port": server.port, "tls_ca": authorities / "ca.pem", **own}
    assert collect(**fits).returncode == 0
    key, chain = (authorities / "client.pem").read_text().split("-----BEGIN CERTIFICATE-----", 1)
    (authorities / "client.key").write_text(key)
    (authorities / "client.crt").write_text(f"-----BEGIN CERTIFICATE-----{chain}")
    apart = {"tls_certificate": authorities / "client.crt", "tls_key": authorities / "client.key"}
    assert collect(**{**fits, **apart}).returncode == 0
    for changed, sentence in (
        ({"tls_ca": authorities / "other.pem"}, "TLS failed: self-signed certificate in certificate chain"),
        ({"host": "127.0.0.1"}, "TLS failed: IP address mismatch"),
        ({"tls_ca": "/nowhere.pem"}, "/nowhere.pem"),
    ):
        done = collect(*QUICK, **{**fits, **changed})
        assert done.returncode == 1
        assert "misconfigured: " in done.stderr
        assert sentence in done.stderr
    without = {"host": "localhost", "port": server.port}
    assert (
        "the server closes the connection: all that it allows may be taken, or it asks for TLS"
        in collect(*QUICK, **without).stderr
    )
