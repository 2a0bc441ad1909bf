"""A real cluster of three nodes in every kind of trouble, watched by an agent and a Prometheus with our alerts."""

import signal
import threading
from contextlib import suppress

import psutil
import pymysql
import pytest
from harness import until

from collectors.galera.tests.cluster import USER

pytestmark = [pytest.mark.needs("mariadbd", "rsync", "prometheus", "root"), pytest.mark.timeout(300)]


def test_a_healthy_cluster_is_the_same_from_every_node(watching):
    """Three synced members, by name, seen with the documented privileges alone; no alert fires."""
    for name in ("n1", "n2", "n3"):
        assert watching.seen(name) == ("primary", "synced", 3)
        present = {
            dict(labels)["member"]: value
            for (metric, labels), value in watching.agent.metrics().items()
            if metric == "galera_member_present" and ("name", name) in labels
        }
        assert present == {"n1": 1, "n2": 1, "n3": 1}
        assert watching.value("galera_unknown_variables", name) == 0
    assert [each["notes"] for each in watching.agent.status()["collectors"]] == [[], [], [], []]
    groups = watching.prometheus.ask("/api/v1/rules")["groups"]
    rules = [rule for group in groups if group["name"] == "rscollector-galera" for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    assert watching.alarms() == set()


def test_a_node_that_is_killed_is_missed_by_name(watching, cluster):
    """The others say who is gone, in metrics and in one line; its own collector says that nobody answers."""
    cluster.nodes[2].kill()
    watching.sees("n1", "primary", "synced", 2)
    until(lambda: watching.value("galera_member_present", "n1", member="n3") == 0)
    until(lambda: "galera/n1: galera: n3 left; 2 members now" in watching.log)
    until(lambda: watching.up("n3") == 0)
    reason = watching.agent.collector("galera/n3")["reason"]
    assert "nobody listens there; the server is down or starting" in reason
    watching.prometheus.fires("GaleraMembersMissing", "RscollectorCollectorDown")
    cluster.heal()
    watching.right()


def test_a_node_that_is_stopped_hangs_only_its_own_collector(watching, cluster):
    """The kernel accepts for it and nobody answers: the worker is killed, the others are on time."""
    cluster.nodes[2].kill(signal.SIGSTOP)
    until(lambda: watching.up("n3") == 0)
    watching.sees("n1", "primary", "synced", 2)
    watching.prometheus.fires("GaleraMembersMissing", "RscollectorCollectorDown")
    watching.unharmed()
    cluster.heal()
    watching.right()


def test_a_node_that_is_isolated_says_so_and_so_do_the_others(watching, cluster):
    """Non-primary on it, primary with two members on the others; it speaks, though it refuses statements."""
    cluster.nodes[2].query("SET GLOBAL wsrep_provider_options='gmcast.isolate=1'")
    watching.sees("n3", "non_primary", "initialized", 1)
    watching.sees("n1", "primary", "synced", 2)
    assert watching.value("galera_ready", "n3") == 0
    assert watching.value("galera_cluster_configuration_id", "n3") is None
    assert watching.value("galera_member_present", "n3", member="n1") is None
    until(lambda: "missing: the members' names" in str(watching.agent.collector("galera/n3")["notes"]))
    watching.prometheus.fires(
        "GaleraNotPrimary", "GaleraNotReady", "GaleraSizesDiffer", "GaleraMembersMissing"
    )
    cluster.heal()
    watching.right()


def test_a_cluster_that_has_split_in_two_is_called_by_its_name(watching, cluster):
    """Two parts write, each sees nothing wrong with itself: one made primary by hand, then one that was begun empty."""
    stray = cluster.nodes[2]
    stray.query("SET GLOBAL wsrep_provider_options='gmcast.isolate=1'")
    watching.sees("n3", "non_primary", "initialized", 1)
    stray.query("SET GLOBAL wsrep_provider_options='pc.bootstrap=1'")
    watching.sees("n3", "primary", "synced", 1)
    watching.sees("n1", "primary", "synced", 2)
    watching.prometheus.fires("GaleraSplitBrain", "GaleraSizesDiffer")
    assert "GaleraHistoriesDiffer" not in watching.alarms()
    stray.kill(signal.SIGTERM)
    stray.wipe()
    until(lambda: watching.up("n3") == 0)
    cluster.bootstrap(stray)
    cluster.grant(stray)
    watching.sees("n3", "primary", "synced", 1)
    watching.prometheus.fires("GaleraHistoriesDiffer")
    stray.kill()
    stray.wipe()
    cluster.heal()
    watching.right()


def test_a_cluster_that_is_down_and_bootstrapped_comes_back(watching, cluster):
    """All are gone; one is bootstrapped and is alone; the others join it."""
    for node in cluster.nodes:
        node.kill(signal.SIGTERM)
    until(lambda: [watching.up(node.name) for node in cluster.nodes] == [0, 0, 0])
    assert watching.agent.value("galera_cluster_size") is None
    watching.prometheus.fires("GaleraClusterGone", "RscollectorCollectorDown")
    cluster.bootstrap(cluster.nodes[2])
    watching.sees("n3", "primary", "synced", 1)
    watching.prometheus.fires("GaleraMembersMissing")
    cluster.heal()
    watching.right()


def test_a_state_transfer_is_seen_from_its_donor(watching, cluster):
    """The node that joins answers nobody; the one that gives says that it is a donor; then it is asked again."""
    restarts = {"type": "galera", "name": "n3", "reason": "unavailable"}
    before = watching.agent.value("rscollector_collector_restarts_total", **restarts)
    joiner = cluster.nodes[2]
    joiner.kill(signal.SIGTERM)
    watching.sees("n1", "primary", "synced", 2)
    joiner.wipe()
    joiner.start(cluster.addresses)
    (transfer,) = until(lambda: receivers(joiner))
    transfer.suspend()
    donor = until(lambda: [name for name in ("n1", "n2") if watching.seen(name)[1] == "donor_desynced"])[0]
    assert watching.seen(donor) == ("primary", "donor_desynced", 3)
    assert watching.value("galera_desync_count", donor) >= 1
    assert watching.up("n3") == 0
    watching.prometheus.fires("GaleraDesynced", "RscollectorCollectorDown")
    transfer.resume()
    cluster.heal()
    watching.right()
    assert watching.agent.value("rscollector_collector_restarts_total", **restarts) > before


def receivers(node):
    """Return the process that receives a node's state, in a list, once it listens: the donor waits for that."""
    with suppress(psutil.Error):
        family = psutil.Process(node.process.pid).children(recursive=True)
        return [each for each in family if each.name() == "rsync" and _listens(each)][:1]
    return []


def _listens(process):
    connections = getattr(process, "net_connections", None) or process.connections  # psutil before 6
    return any(each.status == psutil.CONN_LISTEN for each in connections())


def test_flow_control_is_a_share_of_the_time_between_two_ticks(watching, cluster):
    """One node applies slowly (no key: each row is searched for), and lets all others wait until it has caught up."""
    writer, slow = cluster.nodes[0], cluster.nodes[2]
    writer.query("CREATE DATABASE IF NOT EXISTS test")
    writer.query("CREATE OR REPLACE TABLE test.t (a INT, b INT) ENGINE=InnoDB")
    writer.query("INSERT INTO test.t SELECT seq, 0 FROM test.seq_1_to_1000")
    slow.query("SET GLOBAL wsrep_provider_options='gcs.fc_limit=1'")
    stop = threading.Event()

    def write():
        connection = pymysql.connect(unix_socket=str(writer.socket), user="root", autocommit=True)
        with connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute("UPDATE test.t SET b = b + 1")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        until(lambda: (watching.value("galera_flow_control_paused_ratio", "n1") or 0) > 0.2, 30)
        until(lambda: (watching.value("galera_flow_control_sent_total", "n3") or 0) > 0)
        watching.prometheus.fires("GaleraFlowControl")
    finally:
        stop.set()
        thread.join(30)
        slow.query("SET GLOBAL wsrep_provider_options='gcs.fc_limit=16'")
    until(lambda: watching.value("galera_recv_queue_length", "n3") == 0, 60)
    until(lambda: watching.value("galera_flow_control_paused_ratio", "n1") == 0)
    watching.right()


def test_a_desynchronised_node_is_no_failure(watching, cluster):
    """It was desynchronised on purpose, and stays a member."""
    cluster.nodes[1].query("SET GLOBAL wsrep_desync=ON")
    watching.sees("n2", "primary", "donor_desynced", 3)
    assert watching.value("galera_desync_count", "n2") == 1
    watching.prometheus.fires("GaleraDesynced")
    cluster.nodes[1].query("SET GLOBAL wsrep_desync=OFF")
    watching.right()


def test_a_server_that_has_queries_wait_for_the_cluster_does_not_hold_up_its_collector(watching, cluster):
    """With wsrep_sync_wait, who reads waits until all is applied, which a read lock prevents."""
    node = cluster.nodes[1]
    with node.connect() as connection, connection.cursor() as cursor:

        def theirs():
            cursor.execute(f"SELECT id FROM information_schema.processlist WHERE user = '{USER}'")
            return {number for (number,) in cursor.fetchall()}

        node.query("SET GLOBAL wsrep_sync_wait=15")
        cursor.execute("FLUSH TABLES WITH READ LOCK")
        cluster.nodes[0].query("CREATE DATABASE waits")
        before = theirs()
        for number in before:
            cursor.execute(f"KILL {number}")
        until(
            lambda: theirs() - before
        )  # it is connected to anew, whatever the server says that it should wait for
        until(lambda: watching.up("n2"))
        assert watching.seen("n2") == ("primary", "donor_desynced", 3)
    cluster.nodes[0].query("DROP DATABASE waits")
    node.query("SET GLOBAL wsrep_sync_wait=0")
    watching.right()


def test_a_read_only_node_says_so(watching, cluster):
    """It is a setting, no state of the cluster, and costs no other number."""
    cluster.nodes[1].query("SET GLOBAL read_only=ON")
    until(lambda: watching.value("galera_read_only", "n2") == 1)
    assert watching.seen("n2") == ("primary", "synced", 3)
    cluster.nodes[1].query("SET GLOBAL read_only=OFF")
    until(lambda: watching.value("galera_read_only", "n2") == 0)
