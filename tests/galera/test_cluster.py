"""A real cluster of three nodes, and an agent that watches all of them."""

import signal
import socket
import time

import pytest
from cluster import PASSWORD, USER, Node
from harness import until

pytestmark = [pytest.mark.needs("mariadbd", "rsync", "root"), pytest.mark.timeout(300)]

AGENT = """
[agent]
interval = "1s"
timeout = "800ms"
backoff_min = "200ms"
backoff_max = "1s"
max_failures = 100000
max_hangs = 100000
[web]
listen = []
[collector.tame.good]
"""


def section(node, name="", **settings):
    """Return a section for a node, with the least privileges that are documented."""
    given = {
        "host": '"127.0.0.1"',
        "port": node.port,
        "user": f'"{USER}"',
        "password": '{ env = "GALERA" }',
        "members": '["n1", "n2", "n3"]',
        **settings,
    }
    lines = [f"{key} = {value}" for key, value in given.items()]
    return "\n".join([f"[collector.galera.{name or node.name}]", *lines]) + "\n"


@pytest.fixture
def watching(agent, cluster):
    """Start an agent that watches the three nodes, and wait until all is well."""
    started = agent(AGENT + "".join(map(section, cluster.nodes)), GALERA=PASSWORD)
    until(lambda: all(each["up"] for each in started.status()["collectors"]), 30)
    return started


def state(agent, name, metric):
    """Return the state that is set of a stateset, as a node's collector tells it."""
    found = [
        dict(labels)[metric]
        for (each, labels), value in agent.metrics().items()
        if each == metric and value == 1 and ("name", name) in labels
    ]
    return found[0] if found else None


def seen(agent, name):
    """Return what a node's collector tells: component, state, size."""
    size = agent.value("galera_cluster_size", name=name)
    return state(agent, name, "galera_cluster_status"), state(agent, name, "galera_local_state"), size


def recovers(agent, *names):
    """Wait until these nodes are synced members of three again; return how long that took."""
    began = time.monotonic()
    for name in names:
        until(lambda name=name: seen(agent, name) == ("primary", "synced", 3), 60)
    return time.monotonic() - began


def test_a_healthy_cluster_is_the_same_from_every_node(watching):
    """Three synced members, by name, seen with the documented privileges alone."""
    for name in ("n1", "n2", "n3"):
        assert seen(watching, name) == ("primary", "synced", 3)
        present = {
            dict(labels)["member"]: value
            for (metric, labels), value in watching.metrics().items()
            if metric == "galera_member_present" and ("name", name) in labels
        }
        assert present == {"n1": 1, "n2": 1, "n3": 1}
        assert watching.value("galera_unknown_variables", name=name) == 0
    assert [each["notes"] for each in watching.status()["collectors"]] == [[], [], [], []]


def test_a_node_that_is_killed_is_missed_by_name(watching, cluster):
    """The others say who is gone, in metrics and in one line; its own collector says that nobody answers."""
    cluster.nodes[2].kill()
    until(lambda: seen(watching, "n1") == ("primary", "synced", 2), 30)
    until(lambda: watching.value("galera_member_present", name="n1", member="n3") == 0)
    until(lambda: "galera/n1: galera: n3 left; 2 members now" in watching.log)
    until(lambda: watching.value("rscollector_collector_up", type="galera", name="n3") == 0)
    assert "nobody answers there; the server is down or starting" in watching.collector("galera/n3")["reason"]
    cluster.heal()
    assert recovers(watching, "n1", "n2", "n3") < 10


def test_a_node_that_is_stopped_hangs_only_its_own_collector(watching, cluster):
    """The kernel accepts for it and nobody answers: the worker is killed, the others are on time."""
    cluster.nodes[2].kill(signal.SIGSTOP)
    until(lambda: watching.value("rscollector_collector_up", type="galera", name="n3") == 0)
    until(lambda: seen(watching, "n1") == ("primary", "synced", 2), 30)
    assert watching.value("rscollector_collector_ticks_missed_total", type="tame") == 0
    assert watching.value("rscollector_collector_up", type="tame") == 1
    cluster.heal()
    assert recovers(watching, "n1", "n2", "n3") < 15


def test_a_node_that_is_isolated_says_so_and_so_do_the_others(watching, cluster):
    """Non-primary on it, primary with two members on the others; it speaks, though it refuses statements."""
    cluster.nodes[2].query("SET GLOBAL wsrep_provider_options='gmcast.isolate=1'")
    until(lambda: seen(watching, "n3") == ("non_primary", "initialized", 1), 30)
    until(lambda: seen(watching, "n1") == ("primary", "synced", 2), 30)
    assert watching.value("galera_ready", name="n3") == 0
    assert watching.value("galera_cluster_configuration_id", name="n3") is None
    cluster.heal()
    assert recovers(watching, "n1", "n2", "n3") < 10


def test_a_desynchronised_node_is_no_failure(watching, cluster):
    """It is a donor or was desynchronised on purpose, and stays a member."""
    cluster.nodes[1].query("SET GLOBAL wsrep_desync=ON")
    until(lambda: seen(watching, "n2") == ("primary", "donor_desynced", 3))
    assert watching.value("galera_desync_count", name="n2") == 1
    cluster.nodes[1].query("SET GLOBAL wsrep_desync=OFF")
    assert recovers(watching, "n2") < 10


def test_a_server_that_restarts_during_a_collect_is_asked_again(watching, cluster):
    """The kept connection is gone; the next one is made when the server is back."""
    cluster.nodes[1].kill(signal.SIGTERM)
    until(lambda: watching.value("rscollector_collector_up", type="galera", name="n2") == 0)
    cluster.heal()
    assert recovers(watching, "n2") < 10
    assert watching.value("rscollector_collector_restarts_total", name="n2", reason="unavailable") >= 1


def test_a_wrong_password_is_named_and_not_hurried(agent, cluster):
    """Misconfigured, with the server's own words and without the password."""
    started = agent(AGENT + section(cluster.nodes[0]), GALERA="wrong-secret")
    until(lambda: started.state("galera/n1") == "removed")
    reason = started.collector("galera/n1")["reason"]
    assert (
        "the user or the password is wrong (1045: Access denied for user 'rscollector'@'127.0.0.1'" in reason
    )
    assert "wrong-secret" not in started.log + reason


def test_a_server_that_accepts_and_never_answers_is_killed_at_the_deadline(agent, cluster):
    """The driver's timeouts are a courtesy: the deadline holds whatever they do."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hung = section(cluster.nodes[0], "hung", port=silent.getsockname()[1])
        started = agent(AGENT + hung + section(cluster.nodes[0]), GALERA=PASSWORD)
        runs = ("rscollector_collector_runs_total", {"type": "galera", "name": "hung"})
        until(
            lambda: sum(started.value(runs[0], **runs[1], result=each) for each in ("hang", "unavailable")),
            30,
        )
        until(lambda: started.collector("galera/n1")["up"])
        assert started.value("rscollector_collector_ticks_missed_total", type="tame") == 0


@pytest.fixture
def plain(cluster, tmp_path_factory):
    """Start a MariaDB that is no member of any cluster."""
    directory = cluster.nodes[0].directory.parent
    node = Node(directory, 9, provider="")
    import shutil
    import subprocess

    subprocess.run(["cp", "-a", str(directory / "template"), str(node.directory)], check=True)
    node.start("")
    until(lambda: node.status("Uptime"), 30)
    yield node
    node.kill()
    shutil.rmtree(node.directory)


def test_a_plain_mariadb_is_misconfigured_in_one_sentence(rscollector, plain):
    """It answers, and is no member of a cluster."""
    done = rscollector("collect", "galera", "--set", f'socket="{plain.socket}"', "--set", 'user="root"')
    assert done.returncode == 1
    assert f"misconfigured: {plain.socket}: this server is no member of a Galera cluster" in done.stderr


def test_the_state_is_explained_on_the_command_line(rscollector, cluster):
    """`rscollector collect galera --explain` says what is, through the node's socket."""
    done = rscollector(
        "collect", "galera", "--explain",
        "--set", f'socket="{cluster.nodes[0].socket}"', "--set", 'user="root"',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "This node is in the primary component, together with 2 others" in done.stdout
