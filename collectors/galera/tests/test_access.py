"""How a real server is reached, and every way in which it can refuse: the sentence that the operator reads."""

import socket
import threading
from contextlib import suppress

import pymysql
import pytest
from harness import until
from watching import AGENT

from collectors.galera.tests.cluster import PASSWORD, USER
from collectors.galera.tests.watch import section

pytestmark = [pytest.mark.needs("mariadbd", "rsync", "root"), pytest.mark.timeout(120)]


@pytest.fixture
def collect(rscollector):
    """Run `rscollector collect galera` with settings: `collect(user="root")` returns the finished process."""

    def run(**settings):
        secret = {"password": '{ env = "GALERA" }'} if settings.pop("password", "") else {}
        told = {name: value if isinstance(value, int) else f'"{value}"' for name, value in settings.items()}
        arguments = [f"{name}={value}" for name, value in {**told, **secret}.items()]
        options = (part for each in arguments for part in ("--set", each))
        return rscollector("collect", "galera", *options, GALERA=PASSWORD)

    return run


def over_tcp(node, **settings):
    """Return the settings of the monitoring user over TCP."""
    return {"host": "127.0.0.1", "port": node.port, "user": USER, "password": PASSWORD, **settings}


def test_the_state_is_explained_on_the_command_line(rscollector, cluster):
    """`rscollector collect galera --explain` says what is, through the node's socket."""
    done = rscollector(
        "collect", "galera", "--explain",
        "--set", f'socket="{cluster.nodes[0].socket}"', "--set", 'user="root"',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "This node is in the primary component, together with 2 others" in done.stdout


def test_the_socket_lets_the_user_of_that_name_in_and_nobody_else(collect, cluster):
    """Authentication by unix_socket: root as root, without a password; root as mysql is refused by name."""
    path = cluster.nodes[0].socket
    assert collect(socket=path, user="root").returncode == 0
    done = collect(socket=path, user="mysql")
    assert done.returncode == 1
    assert (
        f"misconfigured: {path}: the server knows no such user, or lets it in only as the system's user of that name"
        in done.stderr
    )


def test_a_wrong_password_is_named_and_not_hurried(agent, cluster):
    """Misconfigured, with the server's own words and without the password."""
    started = agent(AGENT.format(listen="") + section(cluster.nodes[0]), GALERA="wrong-secret")
    until(lambda: started.state("galera/n1") == "removed")
    reason = started.collector("galera/n1")["reason"]
    assert (
        "the user or the password is wrong, or the server takes connections with TLS only (1045: Access denied for user 'rscollector'@'127.0.0.1'"
        in reason
    )
    assert "wrong-secret" not in started.log + reason


def test_a_server_that_accepts_and_never_answers_is_killed_at_the_deadline(agent, cluster):
    """The driver's timeouts are a courtesy: the deadline holds whatever they do."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hung = section(cluster.nodes[0], "hung", port=silent.getsockname()[1])
        started = agent(AGENT.format(listen="") + hung + section(cluster.nodes[0]), GALERA=PASSWORD)
        runs = ("rscollector_collector_runs_total", {"type": "galera", "name": "hung"})
        until(lambda: sum(started.value(runs[0], **runs[1], result=each) for each in ("hang", "unavailable")))
        until(lambda: started.collector("galera/n1")["up"])
        assert started.value("rscollector_collector_ticks_missed_total", type="tame") == 0


def test_a_server_without_a_free_connection_says_so(collect, cluster):
    """Everybody is connected, and the agent is not: that is no mistake of the configuration."""
    node = cluster.nodes[0]
    node.query("SET GLOBAL max_connections = 10")
    taken = []
    with suppress(pymysql.err.OperationalError):
        while len(taken) < 20:
            taken.append(
                pymysql.connect(host="127.0.0.1", port=node.port, user=USER, password=PASSWORD.encode())
            )
    assert 10 <= len(taken) < 20
    done = collect(**over_tcp(node))
    for each in taken:
        each.close()
    node.query("SET GLOBAL max_connections = 151")
    assert done.returncode == 1
    assert (
        f"unavailable: 127.0.0.1:{node.port}: all of the server's connections are taken (max_connections)"
        in done.stderr
    )


class Relay:
    """Passes bytes between clients and a server.

    At a query that has the text `cut` it drops the connection; one that has the text `hold` goes nowhere.
    """

    def __init__(self, port):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._target = port
        self.cut = self.hold = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source, target, queries):
        with suppress(OSError), source, target:
            while data := source.recv(65536):
                if queries and self.cut and self.cut in data:
                    self.cut = b""
                    source.shutdown(socket.SHUT_RDWR)
                    target.shutdown(socket.SHUT_RDWR)
                    return
                if not (queries and self.hold and self.hold in data):
                    target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)

    def close(self):
        """Take no more connections."""
        self._listener.close()


def test_a_server_that_is_gone_during_the_query_is_connected_to_again(agent, cluster):
    """The connection breaks after the question: one failed collect with its reason, and the next one is good."""
    relay = Relay(cluster.nodes[0].port)
    through = section(cluster.nodes[0], port=relay.port)
    started = agent(AGENT.format(listen="") + through, GALERA=PASSWORD)
    until(lambda: started.collector("galera/n1")["up"])
    relay.cut = b"STATUS"  # the second question: the first one was answered
    until(lambda: started.value("rscollector_collector_runs_total", type="galera", result="unavailable") == 1)
    until(lambda: started.collector("galera/n1")["up"])
    relay.close()
    until(lambda: "the connection was lost during the query (2013" in started.log)


def test_a_connection_that_was_closed_while_it_was_idle_is_opened_again(agent, cluster):
    """By the server's own `wait_timeout`, at each tick, and by what is in between: no collect fails for that."""
    relay = Relay(cluster.nodes[1].port)
    cluster.nodes[0].query("SET GLOBAL wait_timeout = 1")
    slow = AGENT.format(listen="").replace('interval = "1s"', 'interval = "1500ms"')
    nodes = section(cluster.nodes[0]) + section(cluster.nodes[1], "cut", port=relay.port)
    started = agent(slow + nodes, GALERA=PASSWORD)
    runs = "rscollector_collector_runs_total"
    until(lambda: started.value(runs, name="cut", type="galera", result="success"))
    relay.cut = b"SHOW GLOBAL VARIABLES"
    until(
        lambda: all(
            (started.value(runs, name=name, type="galera", result="success") or 0) >= 5
            for name in ("n1", "cut")
        )
    )
    for name in ("n1", "cut"):
        for result in ("unavailable", "bug", "misconfigured", "hang"):
            assert started.value(runs, name=name, type="galera", result=result) == 0
    assert not relay.cut
    relay.close()
    cluster.nodes[0].query("SET GLOBAL wait_timeout = 28800")


def test_a_server_that_stops_between_two_questions_is_told_of_before_the_kill(agent, cluster):
    """Each question has what is left of the collect: together they do not take longer than one of them may."""
    relay = Relay(cluster.nodes[0].port)
    started = agent(AGENT.format(listen="") + section(cluster.nodes[0], port=relay.port), GALERA=PASSWORD)
    until(lambda: started.collector("galera/n1")["up"])
    relay.hold = b"STATUS"
    until(lambda: started.value("rscollector_collector_runs_total", type="galera", result="unavailable") >= 1)
    assert started.value("rscollector_collector_runs_total", type="galera", result="hang") == 0
    until(lambda: "timed out" in started.log)
    relay.close()


def test_a_table_that_is_locked_costs_the_members_names_only(collect, cluster):
    """An upgrade that waits for a transaction holds up whoever asks for the members: nobody waits for it here."""
    node = cluster.nodes[0]
    with node.connect() as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLES mysql.wsrep_cluster_members WRITE")
        done = collect(**over_tcp(node))
        cursor.execute("UNLOCK TABLES")
    assert done.returncode == 0, done.stderr
    assert "galera_cluster_size" in done.stdout
    assert "missing: the members' names" in done.stderr
    assert "1205" in done.stderr


def test_a_plain_mariadb_is_misconfigured_in_one_sentence(collect, plain):
    """It answers, and is no member of a cluster."""
    done = collect(socket=plain.socket, user="root")
    assert done.returncode == 1
    assert f"misconfigured: {plain.socket}: this server is no member of a Galera cluster" in done.stderr


def test_tls_is_verified_or_refused(collect, encrypted, authorities):
    """CA, host name and client certificate: what fits is let in, and of what does not each is named."""
    ca, other = authorities / "ca.pem", authorities / "other.pem"
    own = {"tls_certificate": authorities / "client.pem", "tls_key": authorities / "client.pem"}
    fits = {"host": "localhost", "port": encrypted.port, "user": "secure", "password": PASSWORD, "tls_ca": ca}
    assert collect(**fits).returncode == 0
    assert collect(**{**fits, **own, "user": "certified"}).returncode == 0
    in_one = {"tls_certificate": authorities / "client.pem", "user": "certified"}
    assert collect(**{**fits, **in_one}).returncode == 0
    for changed, sentence in (
        ({"tls_ca": other}, "TLS failed: self-signed certificate in certificate chain"),
        ({"host": "127.0.0.1"}, "TLS failed: IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ({"user": "certified"}, "the user or the password is wrong (1045"),
        ({"tls_ca": "/nowhere.pem"}, "tls_ca = /nowhere.pem: No such file or directory"),
    ):
        done = collect(**{**fits, **changed})
        assert done.returncode == 1
        assert "misconfigured: " in done.stderr
        assert sentence in done.stderr
    plain = {name: value for name, value in fits.items() if name != "tls_ca"}
    assert "or the server takes connections with TLS only (1045" in collect(**plain).stderr


def test_a_server_that_offers_no_tls_is_not_trusted_instead(collect, plain, authorities):
    """PyMySQL before 1.2 would go on without: whoever asks for TLS gets TLS or nothing."""
    plain.query(f"CREATE USER {USER}@'127.0.0.1'")
    port = plain.port
    done = collect(host="localhost", port=port, user=USER, tls_ca=authorities / "ca.pem")
    assert done.returncode == 1
    assert (
        f"misconfigured: localhost:{port}: TLS is asked for (tls, tls_ca), and the server offers none"
        in done.stderr
    )
