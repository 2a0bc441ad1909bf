"""Where a service listens: one parser for all, and a sentence for each way of not being reached."""

import errno
import gc
import socket
from contextlib import closing
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rscollector.api import Misconfigured, Unavailable
from rscollector.kit.optional import Disconnected
from rscollector.kit.place import Place, TcpPlace, connected, parsed_host, unreached
from rscollector.kit.tls import Tls


@pytest.mark.parametrize(
    ("text", "host", "where"),
    [
        ("db1", "db1", "db1:3306"),
        ("db-1.example.", "db-1.example.", "db-1.example.:3306"),
        ("192.0.2.10", "192.0.2.10", "192.0.2.10:3306"),
        ("2001:db8::10", "2001:db8::10", "[2001:db8::10]:3306"),
        ("[2001:db8::10]", "2001:db8::10", "[2001:db8::10]:3306"),
        ("fe80::1%eth0", "fe80::1%eth0", "[fe80::1%eth0]:3306"),
        ("datenbank-süd", "datenbank-süd", "datenbank-süd:3306"),
        ("_srv", "_srv", "_srv:3306"),
    ],
)
def test_a_host_is_read_with_and_without_brackets(text, host, where):
    """A name or an address; messages show it as a URL would."""
    place = TcpPlace(host=text, port=3306)
    assert (place.host, place.where, place.address) == (host, where, (host, 3306))


@pytest.mark.parametrize(
    "text",
    [
        "db1:3306", "[::1]:3306", "[db1]", "[192.0.2.10]", "[]", "http://db1", "db1/x", "a b", "db\n1", "db\x00", "::1%", "a..b", ".example", "x" * 64,
        "[::1", "::1]", "user@db1", "1:2",
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused_with_what_is(text):
    """A port, a URL, blanks, half a bracket: the sentence shows three right ones."""
    with pytest.raises(ValueError, match=r"^host: expected a name or an IP address, such as db1\.example"):
        parsed_host(text)


def test_a_host_with_its_port_is_told_where_that_belongs():
    """The most usual mistake has a sentence of its own."""
    with pytest.raises(ValueError, match=r"the port has a setting of its own$"):
        parsed_host("db1:3306")


@given(st.text(max_size=30))
def test_any_text_is_a_host_or_a_mistake(text):
    """And never another exception; what is accepted stays as it is when it is read again."""
    try:
        host = parsed_host(text)
    except ValueError:
        return
    assert parsed_host(host) == host
    assert host.isprintable()


@pytest.mark.parametrize("port", [-1, 65536, 1 << 40])
def test_a_port_is_in_range(port):
    """Else a driver would say something else, later."""
    with pytest.raises(ValueError, match="port: expected a number from 1 to 65535"):
        TcpPlace(host="db1", port=port)


def test_a_port_belongs_to_a_host():
    """Else another server would be asked than the one that is meant."""
    with pytest.raises(ValueError, match="port: it belongs to a host, which is missing"):
        Place(socket="/run/x.sock", port=3307)


def test_a_socket_and_a_host_exclude_each_other():
    """Nobody has to guess which of them counts."""
    with pytest.raises(ValueError, match="socket and host exclude each other"):
        Place(host="db1", port=1, socket="/run/x")
    with pytest.raises(ValueError, match="socket: expected an absolute path"):
        Place(socket="run/x")
    assert Place(socket="/run/x").where == Place(socket="/run/x").address == "/run/x"


def test_settings_inherit_a_place_with_defaults_of_their_own():
    """All have the same names and the same checks."""

    @dataclass(frozen=True, kw_only=True)
    class Settings(TcpPlace):
        port: int = 27017

    assert Settings(host="[::1]").where == "[::1]:27017"


def budget():
    """Return the seconds that are left."""
    return 5.0


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_server_is_reached_over_either_protocol(family):
    """Through its address."""
    with socket.create_server(
        ("localhost" if family == socket.AF_INET else "::1", 0), family=family
    ) as server:
        host, port = server.getsockname()[:2]
        with closing(connected((host, port), budget)) as connection:
            assert connection.getpeername()[1] == port


def test_a_name_with_two_addresses_is_tried_at_both(monkeypatch):
    """The one does not answer, and costs half of the time; at the other somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fills = [socket.socket() for _ in range(3)]  # then the kernel answers nobody there any more
        for each in fills:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each.getsockname()) for each in (full, server)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with closing(connected(("db1", 1), lambda: 0.4)) as connection:
            assert connection.getpeername() == server.getsockname()
        for each in fills:
            each.close()


def test_a_unix_socket_is_reached(tmp_path):
    """Through its path."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        connected(str(tmp_path / "s"), budget).close()


def test_nobody_there_is_said_with_the_place(tmp_path):
    """A port that refuses, a socket that is not there, one at which nobody listens any more."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unavailable, match=f"^127.0.0.1:{port}: nobody listens there"):
        connected(("127.0.0.1", port), budget)
    path = str(tmp_path / "s")
    with pytest.raises(
        Unavailable, match=r"s: no such socket; the server is down or starting, or it is elsewhere$"
    ):
        connected(path, budget)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
    with pytest.raises(
        Unavailable, match=r"s: nobody listens there; the server is down or starting, or it is elsewhere$"
    ):
        connected(path, budget)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied"),
            Misconfigured,
            "connecting there is not permitted",
        ),
        (TimeoutError(), Disconnected, "nothing answers there, not even with a refusal"),
        (ConnectionResetError(), Disconnected, "nobody listens there"),
        (
            socket.gaierror(-2, "Name or service not known"),
            Disconnected,
            "no address is known for this name (Name or",
        ),
        (OSError(errno.EHOSTUNREACH, "No route to host"), Disconnected, "No route to host"),
        (OSError("odd"), Disconnected, "odd"),
    ],
)
def test_each_way_of_not_being_reached_has_its_sentence(error, kind, said):
    """The place first, then what it means."""
    told = unreached("db1:1", error)
    assert type(told) is kind
    assert str(told).startswith(f"db1:1: {said}")


def test_a_name_that_nobody_knows_is_unavailable():
    """The resolver's words are in the sentence."""
    with pytest.raises(Unavailable, match=r"^no-such-host\.invalid:1: no address is known for this name"):
        connected(("no-such-host.invalid", 1), budget)


def test_a_connection_that_fails_is_closed():
    """Else the collector of garbage complains, and each attempt would cost a descriptor until then."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for _ in range(3):
        with pytest.raises(Unavailable):
            connected(("127.0.0.1", port), budget)
    gc.collect()


def test_a_budget_that_is_over_leaves_no_socket_behind():
    """Who counts the time down raises when it is over, between two addresses too."""

    def over():
        raise TimeoutError

    with pytest.raises(Disconnected, match="nothing answers there"):
        connected(("127.0.0.1", 1), over)
    gc.collect()


def test_a_kernel_without_a_protocol_is_asked_by_the_other(monkeypatch):
    """It has no IPv6, and the name has an address of it: the other address is tried."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        odd = (socket.AF_X25, socket.SOCK_STREAM, 0, "", ("::1", 1, 0, 0))
        found = [odd, (socket.AF_INET, socket.SOCK_STREAM, 6, "", server.getsockname())]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        connected(("db1", 1), budget).close()


@pytest.mark.parametrize("parts", [(Tls, Place), (Place, Tls), (Tls, TcpPlace), (TcpPlace, Tls)])
@pytest.mark.parametrize(
    "settings",
    [
        {"host": "db1:80"},
        {"host": "db1", "port": 70000},
        {"host": "db1"},
        {"tls_key": "/k"},
        {"tls_certificate": "/c"},
    ],
)
def test_settings_of_several_parts_are_checked_by_all_of_them(parts, settings):
    """In whatever order they are inherited."""
    kind = dataclass(frozen=True, kw_only=True)(type("Settings", parts, {}))
    with pytest.raises(ValueError, match=r"^(host|port|tls_key|tls_certificate): "):
        kind(**{"port": 0, **settings})


def test_a_socket_that_may_not_be_connected_to_is_said_with_the_way_there():
    """Its own mode or a directory's: who reads it sees both with one command. A full queue is a server that hangs."""
    told = unreached("/run/x/s", PermissionError(errno.EACCES, "Permission denied"))
    assert type(told) is Misconfigured
    assert str(told).startswith("/run/x/s: this user may not connect: ")
    assert "`namei -l /run/x/s`" in str(told)
    told = unreached("/run/x/s", BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"))
    assert type(told) is Disconnected
    assert str(told).endswith("lets in no more: the server hangs")
