"""One question that is refused: whatever the refusal's code or class, all other answers are published."""

import socketserver
import threading
import time

import pytest
from bson.timestamp import Timestamp

from collectors.mongodb import MongoDB
from collectors.mongodb.collector import MongoDBSettings
from collectors.mongodb.server import Server
from collectors.mongodb.tests.fake_mongod import HANGS_UP, fake_mongod, member_of_a_set, mongos, refusal
from rscollector.api import Context, Misconfigured, Unavailable
from rscollector.kit.optional import Disconnected
from rscollector.testing import FakeContext, collect, values

CODES = (
    None,  # very old servers, and what only seems to be one
    13,  # Unauthorized
    18,  # AuthenticationFailed, as a proxy says it
    26,  # NamespaceNotFound
    50,  # MaxTimeMSExpired
    59,  # CommandNotFound
    91,  # ShutdownInProgress
    115,  # CommandNotSupported
    133,  # FailedToSatisfyReadPreference: config servers are gone
    166,  # CommandNotSupportedOnView
    189,  # PrimarySteppedDown
    303,  # what others than MongoDB say
    8000,  # hosted tiers
    10107,  # NotWritablePrimary
    11600,  # InterruptedAtShutdown
    13436,  # NotPrimaryOrSecondary: the member is in STARTUP2 or ROLLBACK
    40415,  # an option that the server does not know
)
OPTIONAL = {
    "replSetGetStatus": ("the replica set's state", {"mongodb_connections_current"}),
    "replSetGetConfig": (
        "priorities, delays, hidden members, and so the members' lag",
        {"mongodb_primaries", "mongodb_oplog_size_bytes"},
    ),
    "collStats": ("the oplog's size", {"mongodb_primaries", "mongodb_oplog_window_seconds"}),
    "find": ("the oplog's window", {"mongodb_primaries", "mongodb_oplog_size_bytes"}),
}


def seen(port, timeout=10):
    """Return series and notes of a server."""
    context = Context("main", timeout=timeout, interval=15, agent=1)
    return values(collect(MongoDB, {"port": port}, context=context)), context.notes


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("question", OPTIONAL)
def test_what_was_answered_is_published_whatever_was_refused(question, code):
    """A note says what is missing, what the server said, and what would bring it."""
    what, published = OPTIONAL[question]
    with fake_mongod({**member_of_a_set(), question: refusal(code, "no such luck")}) as port:
        found, notes = seen(port)
    assert published | {"mongodb_connections_current", "mongodb_memory_resident_bytes"} <= found.keys()
    if question == "replSetGetStatus" and code == 59:
        assert notes == ["the server knows no replication"]
        return
    note = next(each for each in notes if each.startswith("missing: "))
    assert note.startswith(f"missing: {what}: 127.0.0.1:{port}: ")
    assert "no such luck" in note or code in (13, 18)
    assert " needs " in note


@pytest.mark.parametrize("code", [code for code in CODES if code != 59])
def test_a_router_whose_balancer_cannot_be_asked_tells_the_rest(code):
    """For want of a role, or since the config servers are gone."""
    with fake_mongod({**mongos(), "balancerStatus": refusal(code)}, msg="isdbgrid") as port:
        found, notes = seen(port)
    assert "mongodb_connections_current" in found
    assert any(each.startswith("missing: the balancer's state: ") for each in notes)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("replSetGetConfig", {"config": {"members": [{"_id": 0}, None]}}),
        ("replSetGetConfig", {"config": None}),
        ("find", {"cursor": {"id": 0, "ns": "local.oplog.rs", "firstBatch": [{"x": 1}]}}),
        ("find", {"cursor": {"id": 0, "ns": "local.oplog.rs", "firstBatch": [{"ts": "yesterday"}]}}),
        ("find", {"cursor": {"id": 0, "ns": "local.oplog.rs"}}),
        ("find", {}),
        ("replSetGetConfig", {"ok": 0}),
        ("collStats", {"ok": 0, "code": "no"}),
        ("collStats", {"maxSize": "large"}),
        (
            "replSetGetStatus",
            {"set": "rs0", "members": [None, {}, {"name": "a"}], "initialSyncStatus": "none"},
        ),
        ("replSetGetStatus", {"set": "rs0", "members": None, "myState": [1]}),
        (
            "replSetGetStatus",
            {"set": "rs0", "members": [{"name": "a", "state": 1, "self": True}], "myState": 1},
        ),
        (
            "replSetGetStatus",
            {"set": "rs0", "members": [{"name": "a", "state": 2, "health": None, "uptime": None}]},
        ),
        ("replSetGetStatus", {"set": "rs0", "members": [{"name": "a", "state": {"n": 1}, "health": 1}]}),
        (
            "replSetGetConfig",
            {"config": {"members": [{"host": "a:1", "slaveDelay": "long", "priority": "high"}]}},
        ),
    ],
)
def test_an_answer_of_another_shape_is_no_fault_of_ours(question, answer):
    """Servers that only look like MongoDB leave things out: what is there is published."""
    with fake_mongod({**member_of_a_set(), question: answer}) as port:
        found, _ = seen(port)
    assert {"mongodb_connections_current", "mongodb_members"} <= found.keys()


@pytest.mark.parametrize(
    "greeting",
    [b"J\0\0\0\n5.5.5-10.11.6-MariaDB\0", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 mail\r\n", b"\0" * 64],
)
def test_another_service_on_the_port_is_told_as_that(greeting):
    """And not as a server that does not answer: the port is wrong."""

    class Other(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(greeting + b" " * 64)
            self.request.recv(4096)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Other) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with pytest.raises(Unavailable, match="what answers there does not speak MongoDB's protocol"):
            seen(server.server_address[1], timeout=4)
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (76, "This server is a mongod 6.0.5 without replica set (process, version)."),
        (94, "This server is a mongod 6.0.5 (process, version)."),  # it was never initiated
        (8000, "This server is a mongod 6.0.5 (process, version)."),
    ],
)
def test_nobody_says_that_there_is_no_set_who_was_not_told(code, said):
    """A hosted tier refuses to tell of the set, which it has."""
    context = FakeContext(clock=time.monotonic)
    with fake_mongod({**member_of_a_set(), "replSetGetStatus": refusal(code)}) as port:
        collect(MongoDB, {"port": port}, context=context)
    assert context.sentences[0] == said


@pytest.mark.parametrize("questions", [("collStats",), ("find",), ("replSetGetConfig", "collStats", "find")])
@pytest.mark.parametrize("late", [0.0, 0.02, 0.1])
def test_a_question_that_hangs_costs_its_own_answer(questions, late):
    """It gives up when its time is over, or a little later, as we do: there is time for the others."""

    def hangs(question):
        time.sleep(question["maxTimeMS"] / 1000 + late)
        return refusal(50, "operation exceeded time limit")

    with fake_mongod({**member_of_a_set(), **dict.fromkeys(questions, hangs)}) as port:
        found, notes = seen(port, timeout=4)
    assert {"mongodb_connections_current", "mongodb_primaries"} <= found.keys()
    assert len([note for note in notes if note.startswith("missing: ")]) >= len(questions)


def test_a_question_that_is_never_answered_costs_its_own_answer():
    """Not even with a refusal: the driver gives that connection up, and the others are answered on another."""
    waits = threading.Event()
    with fake_mongod({**member_of_a_set(), "collStats": lambda _: waits.wait(30) or refusal(50)}) as port:
        found, notes = seen(port, timeout=4)
        waits.set()
    assert {"mongodb_connections_current", "mongodb_oplog_window_seconds"} <= found.keys()
    assert any("does not answer" in note for note in notes)


def test_an_answer_that_the_driver_cannot_read_costs_its_own_answer():
    """A date in a year that Python does not have."""
    such = pytest.importorskip("bson.datetime_ms").DatetimeMS(8_640_000_000_000_000)  # since PyMongo 4.3
    odd = {**member_of_a_set(), "collStats": {"maxSize": 1, "at": such}}
    with fake_mongod(odd) as port:
        found, notes = seen(port)
    assert "mongodb_oplog_window_seconds" in found
    assert any("its answer cannot be read" in note for note in notes)


def test_an_entry_before_a_timestamp_is_asked_for_as_servers_before_4_4_allow():
    """They refuse `oplogReplay` without a beginning, and read forward with it, whatever the order should be."""
    answers = member_of_a_set()
    entry = answers["find"]["cursor"]["firstBatch"][0]

    def find(question):
        bounds = question["filter"].get("ts", {})
        starts = isinstance(bounds, Timestamp) or "$gt" in bounds
        backward = question.get("sort") == {"$natural": -1}
        if question.get("oplogReplay") and (backward or not starts):
            return refusal(238, "OplogReplay query does not contain top-level $eq, $gt, or $gte over 'ts'")
        return answers["find"]

    with fake_mongod({**answers, "find": find}) as port:
        server = Server(MongoDBSettings(port=port), Context("main", timeout=10, interval=15, agent=1))
        older = server.entry({"ts": {"$lt": Timestamp(1_700_000_001, 1)}}, newest=True)
        newer = server.entry({"ts": {"$gt": Timestamp(1_600_000_000, 1)}})
        same = server.entry({"ts": entry["ts"]})
        server.close()
    assert older == newer == same == entry


def test_a_connection_that_is_gone_is_no_refusal():
    """The collector has to connect again: nothing is published of what came before."""
    with fake_mongod({**member_of_a_set(), "find": HANGS_UP}) as port, pytest.raises(Disconnected):
        seen(port)


def test_a_router_before_3_4_has_its_setting_asked():
    """It knows no such command; the setting stands in a collection."""
    found_nothing = {"cursor": {"id": 0, "ns": "config.settings", "firstBatch": []}}
    with fake_mongod(
        {**mongos(), "balancerStatus": refusal(59), "find": found_nothing}, msg="isdbgrid"
    ) as port:
        assert seen(port)[0]["mongodb_balancer_enabled"] == 1


def test_a_server_that_does_not_know_an_option_is_asked_without_it():
    """A strict one refuses serverStatus for the option that spares it work."""
    answers = member_of_a_set()

    class Strict(dict):
        def get(self, name, default=None):
            asked.append(name)
            if name == "serverStatus" and asked.count(name) == 1:
                return refusal(40415, "BSON field 'serverStatus.tcmalloc' is an unknown field.")
            return super().get(name, default)

    asked = []
    with fake_mongod(Strict(answers)) as port:
        assert "mongodb_connections_current" in seen(port)[0]
    assert asked.count("serverStatus") == 2


@pytest.mark.parametrize(
    ("code", "kind"), [(13, Misconfigured), (115, Unavailable), (11600, Unavailable), (None, Unavailable)]
)
def test_what_everything_depends_on_is_not_optional(code, kind):
    """Without serverStatus there is nothing to publish: that is a failure, with the server's own words."""
    with (
        fake_mongod({**member_of_a_set(), "serverStatus": refusal(code, "no such luck")}) as port,
        pytest.raises(kind),
    ):
        seen(port)
