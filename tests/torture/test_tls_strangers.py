"""Strangers at a door with a lock: half handshakes, floods of them, of passwords, and whatever comes through TLS.

As in test_strangers no attack does any harm: not to ticks, honest scrapes (with TLS and a password too), memory, log.
"""

import contextlib
import os
import socket
import ssl
import struct
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from doors import HOST, TlsDoor, crowd, is_cut, read_all, request, say, statuses
from harness import free_port, until
from locked import authority, basic, client_context

pytest.register_assert_rewrite("house")

from house import House, many_descriptors, scrape, unharmed  # noqa: E402

CUT = 12.0  # seconds after which nobody is waited for who does not finish: a head has five
LIFE = 30.0
SMALL = 2048
USER = "prometheus"
PASSWORD = "right"
LISTENER = """
[[web.listener]]
address = "127.0.0.1:{port}"
tls = {{ certificate = "{certificate}", key = "{key}" }}
users = {{ {user} = "{hashed}" }}
"""


@pytest.fixture(scope="module")
def _house(tmp_path_factory):
    import bcrypt

    directory = tmp_path_factory.mktemp("locked")
    certificate, key = directory / "cert.pem", directory / "key.pem"
    for path, text in zip((certificate, key), authority().issue(), strict=True):
        path.write_text(text)
    port, hashed = free_port(), bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    toml = LISTENER.format(port=port, certificate=certificate, key=key, user=USER, hashed=hashed)
    headers = {"Authorization": basic(USER, PASSWORD)}
    door = TlsDoor("tls", socket.AF_INET, ("127.0.0.1", port), headers, client_context())
    with many_descriptors():
        made = House(directory, toml, {"tls": door})
        yield made
        made.close()


@pytest.fixture
def house(_house):
    """An agent that is well."""
    _house.open()
    return _house


@pytest.fixture
def door(house):
    """Its door with the lock."""
    return house.doors["tls"]


def hello():
    """Return the first flight of a client."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        client_context().wrap_bio(back, there, server_hostname="localhost").do_handshake()
    return there.read()


@contextlib.contextmanager
def plain_crowd(door, count, sends=b"", source=None):
    """That many clients who have sent something, and speak no TLS, or half of it."""
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(count):
            with contextlib.suppress(OSError):
                clients.append(stack.enter_context(door.plain(source=source)))
                say(clients[-1], sends)
        yield clients


def await_cut(clients, seconds):
    """Return those that are not cut within that time."""
    deadline, left = time.monotonic() + seconds, list(clients)
    while left and time.monotonic() < deadline:
        time.sleep(0.2)
        left = [client for client in left if not is_cut(client)]
    return left


# Before there is TLS


def test_half_open_handshakes_are_cut(house, door):
    """Those who say nothing, a byte, half a hello, a hello and nothing else, or lie about a record's length."""
    whole = hello()
    halves = (b"", whole[:1], whole[: len(whole) // 2], whole, b"\x16\x03\x01\x40\x00" + b"\x01" * 100)
    with unharmed(house), contextlib.ExitStack() as stack:
        clients = [each for half in halves for each in stack.enter_context(plain_crowd(door, 100, half))]
        assert len(await_cut(clients, CUT)) == 0


def test_a_handshake_that_dribbles_is_cut(house, door):
    """A byte each half second, from a hundred clients."""
    with unharmed(house), plain_crowd(door, 100) as clients:
        left = clients
        for byte in hello()[: int(CUT) * 2]:
            for client in left:
                say(client, bytes([byte]))
            left = await_cut(left, 0.5)
            if not left:
                break
        assert len(left) == 0


def test_garbage_is_refused_at_once(house, door):
    """Records that are none, of other versions and kinds, and plain HTTP, which is answered in words."""
    whole = hello()
    kinds = {
        "random": b"\x16\x03\x01\x00\x20" + os.urandom(32),
        "an alert": b"\x15\x03\x03\0\x02\x02\x28",
        "data": b"\x17\x03\x03\0\x05hello",
        "SSL 2": b"\x80\x2e\x01\x00\x02" + bytes(44),
        "SSL 3": b"\x16\x03\x00" + whole[3:],
        "no ciphers": b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03" + bytes(32) + b"\x00\x00\x00\x01\x00\x00\x00",
        "a huge hello": b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(0x3FFC),
        "a hello twice": whole + whole,
        "all bytes": bytes(range(256)) * 20,
        "http": request(),
        "http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    }  # fmt: skip
    with unharmed(house), contextlib.ExitStack() as stack:
        clients = {what: stack.enter_context(door.plain()) for what in kinds}
        for what, data in kinds.items():
            say(clients[what], data)
        answers = dict(zip(kinds, read_all(clients.values(), CUT), strict=True))
    assert [what for what, each in answers.items() if not each.closed] == []
    assert answers["http"].start.endswith(b"this port speaks HTTPS, not HTTP\n")
    assert answers["ssh"].status == 400
    assert answers["random"].start[:1] == b"\x15", "an alert says why"


def test_a_flood_of_hellos_from_one_address_concerns_that_address(house, door):
    """Twenty handshakes in a second, and then an alert without any computing; others are served."""
    whole, told, end = hello(), [], time.monotonic() + 6
    with unharmed(house):
        while time.monotonic() < end:
            with plain_crowd(door, 50, whole, source="127.0.0.66") as clients:
                told += [each.start[:1] for each in read_all(clients, 0.3)]
            assert scrape(door)[0] == 200
    assert told.count(b"\x16") < 20 + 20 * 8
    assert told.count(b"\x15") > 100


def test_a_flood_of_half_handshakes_from_everywhere_keeps_nobody_out(house, door):
    """A hundred each second who send a hello and nothing else, each from another address: more than are answered."""
    whole, end = hello(), threading.Event()

    def flood():
        with contextlib.ExitStack() as stack:
            while not end.wait(0.05):
                for _ in range(5):
                    with contextlib.suppress(OSError):
                        say(stack.enter_context(door.plain()), whole)

    with unharmed(house):
        hand = threading.Thread(target=flood)
        hand.start()
        try:
            for _ in range(15):
                assert scrape(door)[0] == 200
                time.sleep(0.2)
        finally:
            end.set()
            hand.join()


def test_a_flood_of_whole_handshakes_holds_nobody_up(house, door):
    """As many as a client can make, from many addresses, each closed at once."""
    made, end = [], threading.Event()

    def flood():
        while not end.is_set():
            with contextlib.suppress(OSError):
                door.connect(2.0).close()
                made.append(1)

    with unharmed(house):
        hands = [threading.Thread(target=flood) for _ in range(4)]
        for each in hands:
            each.start()
        time.sleep(6)
        end.set()
        for each in hands:
            each.join()
    assert len(made) > 50


def test_nobody_renegotiates(house, door):
    """A client that wants to do the costly part again and again is refused; TLS 1.2 has that."""
    command = [
        "openssl",
        "s_client",
        "-connect",
        f"127.0.0.1:{door.address[1]}",
        "-tls1_2",
        "-legacy_renegotiation",
    ]
    with unharmed(house):
        done = subprocess.run(command, input=b"R\nR\nR\n", capture_output=True, timeout=30, check=False)
    assert b"RENEGOTIATING" in done.stdout + done.stderr
    assert b"no renegotiation" in done.stderr


# Behind TLS


def test_a_thousand_who_have_shaken_hands_keep_nobody_out(house, door):
    """However many come, silent or with half of a request, scrapes are answered, and memory is bounded."""
    with unharmed(house), crowd(door, 500), crowd(door, 500, request()[:-2]):
        for _ in range(10):
            assert scrape(door)[0] == 200
            time.sleep(0.3)


def test_whoever_does_not_finish_is_cut(house, door):
    """The same as without TLS: five seconds for all that comes before an answer."""
    halves = (b"", b"GET /met", b"GET /metrics HTTP/1.1\r\n" + HOST)
    with unharmed(house), contextlib.ExitStack() as stack:
        clients = [each for half in halves for each in stack.enter_context(crowd(door, 40, half))]
        assert len(await_cut(clients, CUT)) == 0


def test_whoever_does_not_read_is_cut(house, door):
    """Two hundred with a password who ask for the page and read nothing cost little memory, and are let go of."""
    asked = request("/metrics", f"Authorization: {basic(USER, PASSWORD)}")
    with unharmed(house), crowd(door, 200, asked, SMALL):
        until(house.has_let_go, LIFE)


def test_all_who_scrape_at_once_are_answered(house, door):
    """Thirty at once, of whom some have to come again; whoever is let in has all that he asks for."""
    crowded = replace(door, scraper=None)
    with unharmed(house), ThreadPoolExecutor(30) as scrapers:
        answers = list(scrapers.map(lambda _: scrape(crowded, timeout=60.0), range(200)))
    assert {status for status, _, _ in answers} == {200}
    assert all(len(body) == int(headers["content-length"]) for _, headers, body in answers)


def test_what_never_ends_is_cut(house, door):
    """Headers, bodies and empty records without an end."""
    endless = {
        b"GET /metrics HTTP/1.1\r\nX-Endless: ": b"a" * 4096,
        b"GET /metrics HTTP/1.1\r\n": b"X-Endless: 1\r\n" * 300,
        request("/metrics", "Content-Length: 1000000000", method="POST"): b"a" * 16384,
        b"": b"\r\n" * 2048,
    }
    with unharmed(house), contextlib.ExitStack() as stack:
        sent = {}
        for first, more in endless.items():
            sent |= dict.fromkeys(stack.enter_context(crowd(door, 4, first)), more)
        deadline = time.monotonic() + CUT
        for client in sent:
            client.settimeout(0.2)
        while sent and time.monotonic() < deadline:
            for client in list(sent):
                try:
                    client.sendall(sent[client])
                except TimeoutError:
                    continue
                except OSError:
                    del sent[client]
        assert len(sent) == 0


def test_clients_that_vanish_are_gone(house, door):
    """In the midst of a handshake, of a request, and of the page."""
    asked = request("/metrics", f"Authorization: {basic(USER, PASSWORD)}")
    with unharmed(house):
        for _ in range(50):
            for made, sends, reads in (
                (door.plain, hello(), 0), (door.connect, request()[:-2], 0), (door.connect, asked, 100),
            ):  # fmt: skip
                with made() as client:
                    say(client, sends)
                    if reads:
                        client.recv(reads)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_a_flood_of_wrong_passwords_from_fifty_addresses(house, door):
    """One core at most is asked two hashes a second; who was in once is served as ever, and on time."""
    told, end = [], threading.Event()

    def flood(number):
        guess = 0
        while not end.is_set():
            guess += 1
            given = request(
                "/metrics", f"Authorization: {basic((USER, 'nobody')[guess % 2], f'{number}-{guess}')}"
            )
            with contextlib.suppress(OSError), door.connect(20.0, source=f"127.0.0.{number + 10}") as client:
                say(client, given)
                told.extend(statuses(client.recv(4096)))

    with unharmed(house):
        hands = [threading.Thread(target=flood, args=[number]) for number in range(50)]
        for each in hands:
            each.start()
        time.sleep(10)
        end.set()
        for each in hands:
            each.join()
    assert set(told) == {401, 429}
    assert told.count(401) < 2 * 60
    assert told.count(429) > told.count(401)
