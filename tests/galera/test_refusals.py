"""One question that is refused: whatever the refusal's code or class, all other answers are published."""

import pymysql
import pytest
from pymysql.constants import CR, ER
from recorded import SETTINGS, STATES

from collectors.galera import Galera
from collectors.galera.server import Server
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
    assert note.startswith("missing: the members' names, since /run/mysqld/mysqld.sock: ")
    assert str(refusal.args[1]) in note
    assert note.endswith(
        "; needed: a node in the primary component, and SELECT on mysql.wsrep_cluster_members"
    )


@pytest.mark.parametrize("lost", LOST, ids=lambda error: str(error.args[0]))
def test_a_connection_that_is_gone_is_no_refusal(lost):
    """The collector has to connect again."""
    with pytest.raises(Disconnected):
        collect(of(lost))
