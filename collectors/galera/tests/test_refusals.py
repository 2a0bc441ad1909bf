"""One question that is refused: whatever the refusal's code or class, all other answers are published."""

import struct

import pymysql
import pytest
from pymysql.constants import CR, ER

from collectors.galera import Galera
from collectors.galera.collector import GaleraSettings
from collectors.galera.server import Server
from collectors.galera.tests.recorded import SETTINGS, STATES
from rscollector.api import Misconfigured, Unavailable
from rscollector.kit.optional import Disconnected
from rscollector.testing import FakeContext, collect, values

REFUSALS = [
    pymysql.err.ProgrammingError(ER.TABLEACCESS_DENIED_ERROR, "SELECT command denied"),
    pymysql.err.OperationalError(1047, "WSREP has not yet prepared node for application use"),
    pymysql.err.ProgrammingError(ER.NO_SUCH_TABLE, "Table doesn't exist"),
    pymysql.err.OperationalError(ER.BAD_DB_ERROR, "Unknown database 'mysql'"),
    pymysql.err.OperationalError(ER.DBACCESS_DENIED_ERROR, "Access denied to database"),
    pymysql.err.OperationalError(ER.COLUMNACCESS_DENIED_ERROR, "denied for column"),
    pymysql.err.OperationalError(ER.QUERY_INTERRUPTED, "Query execution was interrupted"),
    pymysql.err.OperationalError(1969, "max_statement_time exceeded"),
    pymysql.err.OperationalError(ER.LOCK_WAIT_TIMEOUT, "Lock wait timeout exceeded"),
    pymysql.err.InternalError(1815, "Internal error"),
    pymysql.err.NotSupportedError(ER.NOT_SUPPORTED_YET, "not supported yet"),
    pymysql.err.OperationalError(3032, "The server is in offline mode"),
    pymysql.err.OperationalError(4166, "a code that nobody has a list of"),
    pymysql.err.DataError(1264, "out of range"),
]
LOST = [
    pymysql.err.OperationalError(CR.CR_SERVER_LOST, "Lost connection during query"),
    pymysql.err.OperationalError(CR.CR_SERVER_GONE_ERROR, "gone"),
    pymysql.err.OperationalError(1927, "Connection was killed"),
    pymysql.err.OperationalError(4031, "disconnected because of inactivity"),
    pymysql.err.InterfaceError(0, ""),
    TimeoutError("timed out"),
]


class Refusing(Server):
    """Answers as a recorded node did, and refuses to name the members."""

    refusal = None

    def _connect(self):
        self._connection = pymysql.Connection(defer_connect=True)

    def _answer(self, statement):
        self._has_answered = True
        if statement.startswith("SELECT"):
            raise self.refusal
        recorded = (
            STATES["mariadb-10.11/01-healthy.n1"] if "STATUS" in statement else SETTINGS["mariadb-10.11"]
        )
        return list(recorded.table().items())


def failing(error):
    """Return a connection that the driver cannot make."""

    class Failing(Server):
        def _connect(self):
            self._connection = pymysql.Connection(defer_connect=True)
            raise error

    return Failing


def of(refusal):
    """Return a collector whose node refuses so."""
    server = type("Refusing", (Refusing,), {"refusal": refusal})
    return type("Asked", (Galera,), {"connect": lambda self, context: server(self.settings, context)})


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda error: str(error.args[0]))
def test_what_was_answered_is_published_whatever_was_refused(refusal):
    """A note says what is missing, what the server said, and what would bring it."""
    context = FakeContext()
    found = values(collect(of(refusal), context=context))
    assert found["galera_cluster_size"] == 3
    assert not any(name.startswith("galera_member_present") for name in found)
    (note,) = context.notes
    assert note.startswith("missing: the members' names: /run/mysqld/mysqld.sock: ")
    assert str(refusal.args[1]) in note
    assert note.endswith(
        "(this needs a node in the primary component, and SELECT on mysql.wsrep_cluster_members)"
    )


@pytest.mark.parametrize("lost", LOST, ids=lambda error: str(error.args[0]))
def test_a_connection_that_is_gone_is_no_refusal(lost):
    """The collector has to connect again."""
    with pytest.raises(Disconnected):
        collect(of(lost))


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            RuntimeError(
                "'cryptography' package is required for sha256_password or caching_sha2_password auth methods"
            ),
            Misconfigured,
            "this user's way of logging in needs a Python package that is not installed ('cryptography' package",
        ),
        (
            RuntimeError("'pynacl' package is required for ed25519_password auth method"),
            Misconfigured,
            "this user's way of logging in needs a Python package that is not installed ('pynacl' package",
        ),
        (
            pymysql.err.OperationalError(2059, "Authentication plugin 'parsec' not configured"),
            Misconfigured,
            "the driver does not know",
        ),
        (
            pymysql.err.OperationalError(1251, "old"),
            Misconfigured,
            "the driver does not know this user's way",
        ),
        (pymysql.err.OperationalError(1820, "x"), Misconfigured, "the password has expired (1820: x)"),
        (pymysql.err.OperationalError(3118, "x"), Misconfigured, "the account is locked (3118: x)"),
        (
            pymysql.err.OperationalError(3159, "x"),
            Misconfigured,
            "the server takes connections with TLS only; `tls`",
        ),
        (
            pymysql.err.InternalError("Packet sequence number wrong - got 32 expected 0"),
            Unavailable,
            "what answers there does",
        ),
        (IndexError("index out of range"), Unavailable, "what answers there does not speak MySQL's protocol"),
        (
            struct.error("unpack requires 2 bytes"),
            Unavailable,
            "what answers there does not speak MySQL's protocol",
        ),
        (
            UnicodeDecodeError("ascii", b"x", 0, 1, "odd"),
            Unavailable,
            "what answers there does not speak MySQL's protocol",
        ),
        (
            pymysql.err.OperationalError(2013, "Lost connection (timed out)"),
            Unavailable,
            "it does not answer: it hangs, or is no MySQL server (2013: Lost",
        ),
        (
            pymysql.err.OperationalError(2013, "Lost connection"),
            Unavailable,
            "the connection was lost during the query",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_whatever_a_driver_raises_is_a_sentence(error, kind, said):
    """A package that is missing, a login that nobody knows, a port at which something else listens: no bug of ours."""
    with pytest.raises(kind) as raised:
        failing(error)(GaleraSettings(host="db1"), FakeContext())
    assert str(raised.value).startswith(f"db1:3306: {said}")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"host": "db1"},
            "db1:3306: the user or the password is wrong, or the server takes connections with TLS only (1045",
        ),
        ({"host": "db1", "tls": True}, "db1:3306: the user or the password is wrong (1045"),
        ({}, "/run/mysqld/mysqld.sock: the user or the password is wrong (1045"),
    ],
)
def test_a_right_password_is_not_called_wrong_for_want_of_tls(settings, said):
    """A server that insists on TLS answers as if the password were wrong."""
    wrong = pymysql.err.OperationalError(1045, "Access denied")
    with pytest.raises(Misconfigured) as raised:
        failing(wrong)(GaleraSettings(**settings), FakeContext())
    assert str(raised.value).startswith(said)
