"""Who may come in, how often, and what is told to who may not."""

import asyncio
import base64
import gc
import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from unittest.mock import Mock

import bcrypt
import pytest
from harness import until
from locked import BODY, authority, basic, client_context, locked, tls

from rscollector.config.types import ClientAuth
from rscollector.web import passwords as module
from rscollector.web.access_log import AccessLog
from rscollector.web.passwords import _NOBODY, Credentials, Hashing, Passwords, credentials
from rscollector.web.proxies import Proxies
from rscollector.web.rates import Buckets, bucket_of

QUICK = 0.01
NOBODY = "a user and a password are wanted here\n"


def hashed(password, cost=4):
    """Return the hash that belongs into a configuration."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


RIGHT = hashed("right")
USERS = {"prometheus": RIGHT}
IN = basic("prometheus", "right")


# Credentials


def test_only_who_has_user_and_password_comes_in():
    """Others are told that one is wanted, on each path the same, and nothing of us."""
    with locked(None, QUICK, users=USERS) as served:
        assert served.get(authorization=IN)[::2] == (200, BODY)
        answers = set()
        for number, given in enumerate(
            ({}, {"authorization": basic("prometheus", "wrong")}, {"authorization": basic("nobody", "right")},
             {"authorization": "Bearer x"}, {"authorization": IN.replace("Basic", "Digest")}),
        ):  # fmt: skip
            for path in ("/metrics", "/", "/none", "/api/v1/status"):
                status, headers, body = served.get(path, source=f"127.0.0.{number + 1}", **given)
                told = sorted((name.lower(), value) for name, value in headers.items() if name != "date")
                answers.add((status, str(told), body.decode()))
        ((status, told, body),) = answers
        assert (status, body) == (401, NOBODY)
        assert "('www-authenticate', 'Basic realm=\"restricted\", charset=\"UTF-8\"')" in told
        assert "server" not in told
        assert "rscollector" not in told + body


def test_head_and_other_methods_are_refused_in_the_same_way():
    """Whatever is asked, and with whatever body."""
    with locked(None, QUICK, users=USERS) as served:
        for method in ("HEAD", "POST", "OPTIONS", "DELETE"):
            status, _, body = served.get("/metrics", method=method)
            assert (status, body) == (401, b"" if method == "HEAD" else NOBODY.encode())


def test_the_pages_do_not_see_what_opens_the_lock():
    """Neither passwords nor what proxies say goes further than it has to."""
    with locked(None, QUICK, users=USERS, trusted_proxies=("127.0.0.1",)) as served:
        told = served.get("/", authorization=IN, x_forwarded_for="192.0.2.1", accept="x")[2].decode()
    assert "authorization" not in told
    assert "forwarded" not in told
    assert "accept=x" in told


@pytest.mark.parametrize(
    ("header", "user", "password"),
    [
        (basic("a", "b"), b"a", b"b"),
        (basic("a", "b:c:"), b"a", b"b:c:"),
        (basic("", ""), b"", b""),
        (basic("ü", "ö"), "ü".encode(), "ö".encode()),
        (basic(b"\xff", b"\xfe"), b"\xff", b"\xfe"),
        (basic("a", "x" * 80), b"a", b"x" * 72),
        ("bAsIc  " + basic("a", "b").split()[1] + " ", b"a", b"b"),
    ],
)
def test_credentials_are_bytes(header, user, password):
    """Colons belong to the password, and of that bcrypt sees 72 bytes, whatever its version."""
    assert credentials(header) == (user, password)


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic ", "Basic !!!", "Basic YQ", "Basic YQ==", f"{IN}, {IN}", basic("a", "b\0c"),
     "Bearer YTpi", "Basic \xff", "Basic YTpi YTpi", "BasicYTpi"],
)  # fmt: skip
def test_what_is_no_credentials_is_none(header):
    """Neither half a header, nor two of them, nor a NUL in the password."""
    assert credentials(header) is None


def test_odd_passwords_come_in_as_they_are():
    """With colons, in bytes that are no text, empty, and longer than bcrypt looks at."""
    odd = {"colon": b"a:b:", "empty": b"", "bytes": b"\xff\xfe", "long": b"x" * 72}
    users = {name: bcrypt.hashpw(each, bcrypt.gensalt(4)).decode() for name, each in odd.items()}
    with locked(None, QUICK, users=users) as served:
        for name, password in {**odd, "long": b"x" * 100}.items():
            assert served.get(authorization=basic(name, password))[0] == 200, name
        assert served.get(authorization=basic("long", "x" * 71))[0] == 401
        assert served.get(authorization=basic("bytes", b"\xff\0\xfe"))[0] == 401
        assert served.get(authorization=basic(b"\xff", "x"))[0] == 401


@pytest.mark.parametrize("prefix", ["2a", "2b", "2y"])
def test_all_kinds_of_hash_are_known(prefix):
    """Whatever tool has made it."""
    with locked(None, QUICK, users={"a": RIGHT.replace("$2b$", f"${prefix}$")}) as served:
        assert served.get(authorization=basic("a", "right"))[0] == 200


def test_what_is_no_hash_opens_nothing():
    """It may look like one, with a salt that none can have; nobody comes in by it, and nothing breaks."""
    with locked(None, QUICK, users={"a": f"{RIGHT[:28]}/{RIGHT[29:]}"}) as served:
        assert served.get(authorization=basic("a", "right"))[0] == 401


# The price


@contextmanager
def held(monkeypatch):
    """Have the thread that computes hold a hash back, and all the others behind it, until this is over."""
    end, computed = threading.Event(), module._matches
    with monkeypatch.context() as patched:
        patched.setattr(module, "_matches", lambda *given: end.wait(60) and computed(*given))
        try:
            yield
        finally:
            end.set()


def test_who_was_in_once_never_waits_while_others_guess(monkeypatch):
    """A flood of wrong passwords from fifty addresses, each another one, and the scraper's page comes at once."""
    with locked(None, QUICK, users=USERS) as served, ThreadPoolExecutor(50) as crowd:
        assert served.get(authorization=IN)[0] == 200

        def guess(number):
            given = basic(("prometheus", "nobody")[number % 2], str(number))
            return served.get(source=f"127.0.0.{number % 50 + 2}", authorization=given)[0]

        with held(monkeypatch):
            guesses = [crowd.submit(guess, number) for number in range(500)]
            until(lambda: sum(each.done() for each in guesses) == 492)  # the others wait for their hash
            assert [served.get(authorization=IN)[0] for _ in range(20)] == [200] * 20
        told = [each.result() for each in guesses]
    assert (told.count(401), told.count(429)) == (8, 492)


def test_between_two_hashes_is_a_pace(monkeypatch):
    """However many ask, and whichever address they have: two a second cost the host what it can bear."""
    hashing, after = Hashing(0.2), []
    monkeypatch.setattr(module, "_matches", lambda *_: after.append(hashing._next))

    async def ask():
        await asyncio.gather(*(hashing.matches(b"", "", 4, f"192.0.2.{number}") for number in range(4)))

    asyncio.run(ask())
    assert all(later - earlier > 0.19 for earlier, later in pairwise(after))
    assert len(after) == 4


def test_a_wrong_password_puts_no_right_one_out():
    """However many there are: failures have a table of their own."""
    with locked(None, 0.0, users=USERS) as served:
        passwords = served.lock.access._passwords
        assert served.get(authorization=IN)[0] == 200
        served.shared.hashing._tries = Buckets(0.0, 1)
        for number in range(1100):
            assert served.get(authorization=basic("prometheus", f"{number}"))[0] == 401
        assert len(passwords._wrong) == 1000
        assert passwords.remembered(credentials(IN)) is True
        assert served.get(authorization=IN)[0] == 200


def test_nobody_computes_the_same_twice(monkeypatch):
    """Three hundred at once, half of them wrong: two hashes, and each has his answer."""
    computed = Mock(side_effect=module._matches)
    monkeypatch.setattr(module, "_matches", computed)
    with locked(users=USERS) as served, ThreadPoolExecutor(60) as crowd:
        given = [basic("prometheus", ("right", "wrong")[number % 2]) for number in range(300)]
        told = list(crowd.map(lambda each: served.get(authorization=each)[0], given))
        assert told == [200, 401] * 150
        assert computed.call_count == 2


def test_who_guesses_is_told_when_to_come_again():
    """Five tries, and then one each twelve seconds; another address is not concerned."""
    with locked(None, QUICK, users=USERS) as served:
        told = [served.get(authorization=basic("prometheus", f"{number}"))[0] for number in range(8)]
        assert told == [401] * 5 + [429] * 3
        _, headers, body = served.get(authorization=basic("prometheus", "more"))
        assert 1 <= int(headers["retry-after"]) <= 12
        assert body.decode() == f"too many requests; ask again in {headers['retry-after']} s\n"
        assert served.get(authorization=basic("prometheus", "0"))[0] == 401, "what is known is answered"
        assert served.get(authorization=basic("prometheus", "more"), source="127.0.0.9")[0] == 401
        assert served.get(authorization=IN, source="127.0.0.9")[0] == 200
        assert served.get(authorization=IN)[0] == 200, "and who is in is in, whatever comes from his address"


def test_a_right_password_is_no_try():
    """A crowd of scrapers behind one address, each with a user of his own."""
    users = {f"user-{number}": RIGHT for number in range(12)}
    with locked(None, QUICK, users=users) as served:
        assert [served.get(authorization=basic(user, "right"))[0] for user in users] == [200] * 12


def test_not_more_than_eight_wait(monkeypatch):
    """Whoever comes then is told at once, and one address does not take all the places."""
    with locked(None, QUICK, users=USERS) as served, ThreadPoolExecutor(20) as crowd:

        def ask(source, password):
            return crowd.submit(served.get, source=source, authorization=basic("x", password))

        with held(monkeypatch):
            asked = [ask("127.0.0.99", f"of one {number}") for number in range(6)]
            until(lambda: sum(each.done() for each in asked) == 2)
            assert served.shared.hashing._waiting == ["127.0.0.99"] * 4
            asked += [ask(f"127.0.0.{number + 2}", str(number)) for number in range(10)]
            until(lambda: sum(each.done() for each in asked) == 2 + 6)
        told = [each.result()[0] for each in asked]
    assert (told.count(401), told.count(429)) == (8, 8)


def test_unknown_users_cost_as_much_as_known_ones(monkeypatch):
    """The time of an answer tells nothing: it is the end of a half second, and that of the highest cost."""
    users = {"cheap": hashed("x", 4), "dear": hashed("x", 9)}
    costs, computed = [], module._matches
    monkeypatch.setattr(module, "_matches", lambda *given: costs.append(given[2]) or computed(*given))
    with locked(None, 0.3, users=users) as served:
        for number, user in enumerate(("cheap", "dear", "nobody")):
            assert served.get(authorization=basic(user, "wrong"), source=f"127.0.0.{number + 1}")[0] == 401
            assert time.monotonic() >= served.shared.hashing._next
    assert costs == [9, 9, 9]


def test_the_hash_of_nobody_has_the_highest_cost_that_is_configured():
    """And is one that nobody has a password for."""
    made = Passwords({"a": hashed("x", 5), "b": hashed("x", 6), "c": hashed("x", 4)}, hashing=None)
    assert made._nobody.startswith("$2b$06$")
    assert not bcrypt.checkpw(b"", _NOBODY.format(cost="04").encode())


@pytest.mark.parametrize("user", ["cheap", "dear", "nobody"])
def test_a_wrong_password_costs_the_same_for_whoever_it_is(user, monkeypatch):
    """Also where a hash takes longer than the half second: on a slow host, or at a cost of 14."""
    rounds, computed = [], bcrypt.checkpw

    def counted(password, hashed):
        rounds.append(2 ** int(hashed.split(b"$")[2]))
        return computed(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    passwords = Passwords({"cheap": hashed("x", 4), "dear": hashed("x", 7)}, Hashing(0))
    assert asyncio.run(passwords.are_right(credentials(basic(user, "wrong")), "::1")) is False
    assert sum(rounds) == 2**7


def test_the_poisoned_key_of_the_cache():
    """CVE-2022-46146: user, hash and password that are joined the same are not the same."""
    users = {"alice": hashed("alice's", 4)}
    made = Passwords(users, hashing=None)
    digests = {
        made._digest(credentials(basic(user, password)))
        for user, password in (
            ("alice", "secret"), ("alic", "esecret"), ("alices", "ecret"), ("", "alicesecret"),
            ("alice" + made._nobody, "secret"), ("alice", made._nobody + "secret"),
            ("alice" + users["alice"], "secret"), ("alice", users["alice"] + "secret"),
        )
    }  # fmt: skip
    assert len(digests) == 8
    assert made._digest(credentials(basic("a", "b"))) != Passwords(users, None)._digest(
        credentials(basic("a", "b"))
    )


def test_the_poisoned_key_does_not_let_anybody_in():
    """The attack of that CVE: fill the cache with a failure or a success under the key of another."""
    with locked(None, QUICK, users={"alice": RIGHT}) as served:
        known = served.lock.access._passwords._nobody
        for user, password in (
            (f"alice{known}", "right"),
            ("alice", f"{RIGHT}right"),
            (f"alice{RIGHT}", "right"),
        ):
            assert served.get(authorization=basic(user, password))[0] == 401
        assert served.get(authorization=basic("alice", "right"))[0] == 200
        assert served.get(authorization=basic(f"alice{RIGHT}", "right"))[0] == 401


def test_other_users_hold_at_once():
    """Who has another password now is out, who has the same stays in without a hash, and new ones come in."""
    with locked(None, QUICK, users={"a": RIGHT, "b": RIGHT}) as served:
        for user in ("a", "b"):
            assert served.get(authorization=basic(user, "right"))[0] == 200
        assert served.get(authorization=basic("c", "new"))[0] == 401
        served.replace(users={"a": RIGHT, "b": hashed("new"), "c": hashed("new")})
        assert served.lock.access._passwords.remembered(credentials(basic("a", "right"))) is True
        told = {(user, word): served.get(authorization=basic(user, word))[0] for user in "abc" for word in ("right", "new")}  # fmt: skip
        assert told == {
            ("a", "right"): 200, ("a", "new"): 401, ("b", "right"): 401, ("b", "new"): 200,
            ("c", "right"): 401, ("c", "new"): 200,
        }  # fmt: skip
        served.replace(users={"b": hashed("new")})
        assert served.get(authorization=basic("a", "right"))[0] == 401
        assert set(served.lock.access._passwords._right) == {b"b"}, "and nothing is kept of who has gone"


@pytest.mark.parametrize("user", ["prometheus", "nobody"])
def test_a_wrong_password_is_answered_when_its_time_is_over(user):
    """However little its hash costs: else the time would tell which users there are."""
    passwords = Passwords(USERS, Hashing(0.3))
    began = time.monotonic()
    assert asyncio.run(passwords.are_right(credentials(basic(user, "wrong")), "::1")) is False
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("user", ["a", "nobody"])
def test_a_hash_that_fits_lets_in_only_who_is_a_user_when_it_is_done(user, monkeypatch):
    """Somebody may be taken out while it is computed; and the hash for those that there are not has a password."""
    passwords = Passwords({"a": RIGHT}, Hashing(0))

    def fits(*_):
        passwords.replace({"b": RIGHT})
        return True

    monkeypatch.setattr(module, "_matches", fits)
    given = credentials(basic(user, "right"))
    assert asyncio.run(passwords.are_right(given, "::1")) is False
    assert not passwords.remembered(given)


def test_who_hangs_up_while_his_password_is_computed_leaves_nothing():
    """And the next one is answered."""
    with locked(users=USERS) as served:
        for number in range(4):
            given = basic("prometheus", str(number))
            served.connect(f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {given}\r\n\r\n".encode()).close()
        until(lambda: len(served.connections) == 0)
        assert served.get(authorization=IN, source="127.0.0.2")[0] == 200
        until(lambda: not served.lock.access._passwords._asking)


def test_who_hangs_up_takes_nothing_from_who_asks_the_same():
    """What both wait for is computed on."""

    async def asked_twice():
        passwords = Passwords(USERS, Hashing(0.0))
        given = Credentials(b"prometheus", b"right")
        first, second = (asyncio.create_task(passwords.are_right(given, "192.0.2.1")) for _ in range(2))
        while not passwords._asking:
            await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(asked_twice())


def test_who_hangs_up_does_not_hear_that_nobody_can_check(monkeypatch):
    """And nor does the log: there is nothing wrong with the agent."""
    is_gone, complaints = threading.Event(), []

    def computed(*_):
        assert is_gone.wait(20)
        raise ImportError("bcrypt")

    async def hang_up():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        passwords = Passwords(USERS, Hashing(0.0))
        asking = asyncio.create_task(passwords.are_right(Credentials(b"a", b"b"), "192.0.2.1"))
        while not passwords._asking:
            await asyncio.sleep(0)
        asking.cancel()
        is_gone.set()
        while passwords._asking:
            await asyncio.sleep(0)
        assert asking.cancelled()
        gc.collect()

    monkeypatch.setattr(module, "_matches", computed)
    asyncio.run(hang_up())
    assert complaints == []


def test_without_the_library_nobody_comes_in_and_the_log_says_why(monkeypatch, caplog):
    """Once, and who asks is told nothing of us."""
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    with locked(None, QUICK, users=USERS) as served, caplog.at_level(logging.ERROR, "rscollector.web"):
        for number in range(3):
            status, _, body = served.get(authorization=IN, source=f"127.0.0.{number + 1}")
            assert (status, body) == (503, b"passwords cannot be checked now\n")
    (record,) = caplog.records
    assert "install python3-bcrypt" in record.getMessage()


# Rates, proxies, headers, prefix


def test_an_address_that_asks_too_often_is_told_when_to_come_again():
    """Others are not concerned, and who has logged in is not counted."""
    with locked(None, QUICK, users=USERS, rate_interval=60.0, rate_burst=3) as served:
        assert [served.get()[0] for _ in range(5)] == [401] * 3 + [429] * 2
        _, headers, _ = served.get()
        assert 50 < int(headers["retry-after"]) <= 60
        assert served.get(source="127.0.0.2")[0] == 401
        assert served.get(source="127.0.0.2", authorization=IN)[0] == 200
        assert [served.get(authorization=IN)[0] for _ in range(5)] == [200] * 5


def test_without_users_a_rate_is_for_all_but_those_with_a_certificate():
    """An interval without a burst is one at a time, and does not deny everything."""
    required = tls(client=ClientAuth.OPTIONAL, client_ca=authority().pem)
    with locked(tls=required, rate_interval=60.0) as served:
        assert [served.get()[0] for _ in range(2)] == [200, 429]
        own = client_context(authority().issue("scraper"))
        assert [served.get(context=own)[0] for _ in range(3)] == [200] * 3


def test_where_there_are_users_a_certificate_alone_is_counted():
    """It is half of what is wanted: who has it, and guesses, is a stranger still."""
    wanted = tls(client=ClientAuth.REQUIRED, client_ca=authority().pem)
    own = client_context(authority().issue("scraper"))
    with locked(None, QUICK, users=USERS, tls=wanted, rate_interval=60, rate_burst=2) as served:
        assert [served.get(context=own)[0] for _ in range(3)] == [401, 401, 429]


def test_buckets_fill_up_again_and_are_forgotten():
    """One token each interval, up to the burst; of an address with a full bucket nothing is kept."""
    made = Buckets(10.0, 2, most=3)
    assert [made.take("a", now) for now in (0, 0, 0, 5, 10, 10)] == [0, 0, 10, 5, 0, 10]
    made.give_back("a")
    assert made.take("a", 10.0) == 0
    for name in "bcdef":
        assert made.take(name, 11.0) == 0
    assert len(made) == 3
    assert made.take("a", 1000.0) == 0
    assert len(made) == 1
    made = Buckets(10.0, 2, most=3)
    assert [made.take(each, 0.0) for each in "abcada"] == [0, 0, 0, 0, 0, 10], "who comes again is the newest"


@pytest.mark.parametrize(
    ("address", "bucket"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("uid 33", "uid 33"),
    ],
)
def test_of_ipv6_it_is_the_network(address, bucket):
    """A host may have any address of its /64."""
    assert bucket_of(address) == bucket


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2, ::ffff:10.0.0.3", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.7, 10.0.0.2", "10.0.0.7"),
        ("10.0.0.1", "198.51.100.1, garbage", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2, \x1b[2J", "10.0.0.1"),
        ("uid 33", "2001:DB8::1", "2001:db8::1"),
        ("uid 33", "198.51.100.1, fe80::1%eth0 and a forged line", "uid 33"),
        ("::1", "198.51.100.1", "::1"),
        ("fd00::1", "198.51.100.1", "198.51.100.1"),
    ],
)
def test_only_what_trusted_proxies_have_seen_is_believed(peer, forwarded, client):
    """From the end: what stands before the first stranger is his to write."""
    assert Proxies(("10.0.0.0/8", "unix", "fd00::1")).client(peer, forwarded) == client


def test_behind_a_proxy_each_client_has_his_own_tries():
    """And a header that is longer than what is kept is read from its end."""
    with locked(None, QUICK, users=USERS, trusted_proxies=("127.0.0.1",)) as served:
        for client in ("192.0.2.1", "192.0.2.2"):
            spoofed = ", ".join(["203.0.113.1"] * 200)
            told = [
                served.get(
                    authorization=basic("a", f"{client}{number}"), x_forwarded_for=f"{spoofed}, {client}"
                )[0]
                for number in range(6)
            ]
            assert told == [401] * 5 + [429]
        assert served.get(authorization=basic("b", "x"), x_forwarded_for="192.0.2.1")[0] == 429
        told = served.get(authorization=basic("b", "x"), x_forwarded_for="192.0.2.1", source="127.0.0.2")[0]
        assert told == 401, "whoever is no proxy is himself"


def test_the_five_headers_are_on_each_answer_and_replace_those_of_the_pages():
    """HSTS too, when it is asked for; on refusals as on pages."""
    headers = {"Strict-Transport-Security": "max-age=31536000", "X-Frame-Options": "deny"}
    with locked(None, QUICK, users=USERS, headers=headers) as served:
        for given in ({}, {"authorization": IN}):
            _, told, _ = served.get(**given)
            assert told["strict-transport-security"] == "max-age=31536000"
            assert told.get_all("x-frame-options") == ["deny"]


@pytest.mark.parametrize("prefix", ["/agents/web1", "/agents/web1/"])
def test_a_prefix_is_taken_away(prefix):
    """The pages know nothing of it, and a proxy that takes it away itself is served too."""
    with locked(prefix=prefix) as served:
        for path, seen in (("/agents/web1/", "/"), ("/agents/web1/a/b", "/a/b"), ("/a", "/a"), ("/agents/web10", "/agents/web10")):  # fmt: skip
            assert served.get(path)[2].startswith(f"http {seen} ".encode())
        status, headers, _ = served.get("/agents/web1")
        assert (status, headers["location"]) == (308, "/agents/web1/")
    with locked(None, QUICK, prefix=prefix, users=USERS) as served:
        assert served.get("/agents/web1")[0] == 401


def test_the_access_log_is_written_on_demand_and_masked(caplog):
    """Who, what, how it ended; no query, no password, no user who was not let in, no line of a stranger's."""
    caplog.set_level(logging.INFO, "rscollector.web.access")
    with locked(None, QUICK, users=USERS, trusted_proxies=("127.0.0.1",)) as served:
        served.get(authorization=IN)
        assert caplog.records == []
        served.replace(access_log=True)
        served.get("/metrics?token=hunter2", authorization=IN)
        served.get(
            "/a%0aroot:%20b%1b[2J",
            authorization=basic("typed-password", "hunter3"),
            x_forwarded_for="192.0.2.9",
        )
        served.get("/big", authorization=IN, method="HEAD")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert lines[0].startswith("127.0.0.1 prometheus: GET /metrics: 200, 11 bytes, ")
    assert lines[1].startswith("192.0.2.9: GET /a root: b: 401, 38 bytes, ")
    assert lines[2].startswith("127.0.0.1 prometheus: HEAD /big: 200, ")
    encoded = base64.b64encode(b"typed").decode()[:6]
    for secret in ("hunter", "typed", encoded, "\n", "\x1b"):
        assert secret not in "".join(lines)


def test_the_access_log_names_a_client_by_its_certificate_and_why_another_gets_none(caplog):
    """What the client is told is a number; here it is a sentence."""
    caplog.set_level(logging.INFO, "rscollector.web.access")
    required = tls(client=ClientAuth.REQUIRED, client_ca=authority().pem, client_sans=("scraper",))
    with locked(tls=required, access_log=True) as served:
        served.get(context=client_context(authority().issue("scraper")))
        for certificate in (None, authority().issue_odd(), authority().issue("other")):
            with pytest.raises(OSError, match=r"."):
                served.get(context=client_context(certificate))
        until(lambda: len(caplog.records) == 4)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0].startswith("127.0.0.1 scraper: GET /metrics: 200, ")
    assert lines[1] == "127.0.0.1: no TLS: peer did not return a certificate"
    assert lines[2].startswith("127.0.0.1: no TLS: un")
    assert "has no name that is allowed" in lines[3]


def test_who_is_let_in_has_a_line_though_others_have_none(monkeypatch, caplog):
    """Where but one refusal has one."""
    caplog.set_level(logging.INFO, "rscollector.web.access")
    monkeypatch.setattr("rscollector.web.access_log._PER_SECOND", 0.001)
    monkeypatch.setattr("rscollector.web.access_log._AT_ONCE", 1)
    with locked(None, QUICK, users=USERS, access_log=True) as served:
        assert [served.get(**given)[0] for given in ({}, {}, {"authorization": IN}, {"authorization": IN})] == [401, 401, 200, 200]  # fmt: skip
        until(lambda: len(caplog.records) == 3)
    statuses = [record.getMessage().split(", ")[0] for record in caplog.records]
    assert statuses == ["127.0.0.1: GET /metrics: 401", *["127.0.0.1 prometheus: GET /metrics: 200"] * 2]


def test_a_flood_of_refusals_does_not_flood_the_access_log(monkeypatch, caplog):
    """How many had no line is told; whoever is let in has one always."""
    caplog.set_level(logging.INFO, "rscollector.web.access")
    made, now = AccessLog(), 1000.0
    monkeypatch.setattr("rscollector.web.access_log.time.monotonic", lambda: now)
    made.write("192.0.2.1", "no TLS", is_in=False)
    assert caplog.records == []
    made.is_wanted = True
    for _ in range(300):
        made.write("192.0.2.1", "no TLS", is_in=False)
    assert len(caplog.records) == 100
    for _ in range(300):
        made.write("192.0.2.2", "200", is_in=True)
    assert len(caplog.records) == 400
    now += 0.2
    for _ in range(3):
        made.write("192.0.2.1", "no TLS", is_in=False)
    lines = [record.getMessage() for record in caplog.records[400:]]
    made.write("x" * 300, "two\nlines", is_in=True)
    assert caplog.records.pop().getMessage() == f"{'x' * 199}…: two lines"
    told = "192.0.2.1: no TLS"
    assert lines == [f"{told} (200 refusals before this one have no line)", told]


def test_a_unix_socket_has_its_users_and_the_peer_is_known(tmp_path):
    """By the kernel and without a name, which would have to be looked up."""
    with locked(tmp_path, QUICK, users=USERS) as served:
        assert served.get()[0] == 401
        assert "('uid 0', 0)" in served.get("/", authorization=IN)[2].decode()
    with locked(tmp_path / "other", QUICK, users=USERS, trusted_proxies=("unix",)) as served:
        told = served.get("/", authorization=IN, x_forwarded_for="192.0.2.7")[2].decode()
        assert "('uid 0', 0)" in told, "the pages see the peer"


def test_bcrypt_is_imported_by_its_thread_alone():
    """Where nobody has logged in there is no such thread, and none of its five megabytes."""
    made = Hashing()
    assert made._thread is None
    with locked(users=USERS) as served:
        assert served.get()[0] == 401
        assert served.shared.hashing._thread is None
