"""TLS of a listener: what is refused before it is used, what clients see, and the exchange of certificates."""

import asyncio
import logging
import re
import ssl
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from unittest.mock import Mock

import bcrypt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from harness import until
from locked import BODY, Link, authority, basic, client_context, locked, stranger, tls

from rscollector.config import pem
from rscollector.config.types import ClientAuth, Listener, Tls
from rscollector.web import tls as module
from rscollector.web.handshakes import Crowd, Handshakes, Known
from rscollector.web.lock import Lock, Shared
from rscollector.web.rates import Buckets
from rscollector.web.secured import Secured
from rscollector.web.tls import Context

HASH = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_page_comes_over_tls():
    """Whole, in HTTP/1.1 by ALPN, and the end is said in TLS too, so that nobody takes a part for the whole."""
    with locked(tls=tls()) as served:
        assert served.get()[::2] == (200, BODY)
        assert served.get("/big")[2] == BODY * 100_000
        assert served.get("/")[2].startswith(b"https / ")
        context = client_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with context.wrap_socket(served.connect(), server_hostname="localhost") as client:
            assert client.selected_alpn_protocol() == "http/1.1"
            client.sendall(REQUEST)
            assert b"".join(iter(lambda: client.recv(65536), b"")).endswith(BODY)


def test_plain_http_is_answered_in_words():
    """It is the commonest mistake; and TLS where none is spoken is told too."""
    with locked(tls=tls()) as served, served.connect(REQUEST) as client:
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(b"\r\n\r\nthis port speaks HTTPS, not HTTP\n")


# What is refused


def refused(**changes):
    """Return why this TLS is refused."""
    with pytest.raises(ValueError, match=r".") as error:
        Context(tls(**changes))
    return str(error.value)


def test_what_cannot_be_used_is_refused_in_a_sentence():
    """Each names what is wrong and not a function of OpenSSL."""
    encrypted = subprocess.run(
        ["openssl", "pkey", "-aes256", "-passout", "pass:x"],
        input=tls().key.encode(), capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    short = authority().issue_odd(key=rsa.generate_private_key(65537, 1024))
    assert {
        "another's key": refused(key=authority().issue()[1]),
        "no key": refused(key="nothing"),
        "no certificate": refused(certificate=tls().key),
        "an encrypted key": refused(key=encrypted),
        "a short key": refused(certificate=short[0], key=short[1]),
        "half a certificate": refused(certificate="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        "no CA": refused(client=ClientAuth.REQUIRED),
        "a CA that is none": refused(client=ClientAuth.REQUIRED, client_ca="x"),
        "a cipher that nobody knows": refused(ciphers=("NO-SUCH",)),
        "a cipher for other keys": refused(ciphers=("ECDHE-RSA-AES128-GCM-SHA256",), maximum="TLSv1.2"),
        "a curve that nobody knows": refused(curve="nothing"),
    } == {
        "another's key": "the key does not belong to the certificate, which has to be the first of a chain",
        "no key": "the key: expected a text in PEM with -----BEGIN PRIVATE KEY-----",
        "no certificate": "the certificate: expected a text in PEM with -----BEGIN CERTIFICATE-----",
        "an encrypted key": "the certificate and its key cannot be used: "
        "the key is encrypted; write it without a password: openssl pkey -in KEY -out NEW",
        "a short key": "the key is too short for this host's OpenSSL; make one for the curve P-256",
        "half a certificate": "the certificate and its key cannot be used: pem lib",
        "no CA": "the CA of clients: expected a text in PEM with -----BEGIN CERTIFICATE-----",
        "a CA that is none": "the CA of clients: expected a text in PEM with -----BEGIN CERTIFICATE-----",
        "a cipher that nobody knows": "this host's OpenSSL knows none of the ciphers",
        "a cipher for other keys": "no client could connect: none of the ciphers suits this kind of key",
        "a curve that nobody knows": "the certificate and its key cannot be used: unknown elliptic curve name 'nothing'",
    }  # fmt: skip


def test_a_certificate_for_another_purpose_is_refused():
    """A client's certificate in a server's place would fail at each client, and nobody would see it here."""
    certificate, key = authority().issue_odd(purpose=ExtendedKeyUsageOID.CLIENT_AUTH)
    assert re.match(r"no client could connect with this certificate: un\w+ certificate purpose", refused(certificate=certificate, key=key))  # fmt: skip


def test_the_texts_may_have_anything_around_the_blocks():
    """Comments in any language, and keys in their older form."""
    older = subprocess.run(
        ["openssl", "pkey", "-traditional"], input=tls().key.encode(), capture_output=True, check=True
    ).stdout.decode()
    assert "BEGIN EC PRIVATE KEY" in older
    made = tls(client=ClientAuth.REQUIRED, client_ca=f"Behörde: é\n{authority().pem}", key=older)
    assert Context(made).validity[1] > 32_000_000_000


def test_what_only_openssl_reads_is_passed_over():
    """A TRUSTED CERTIFICATE, with what its owner trusts it for: no chain, and no CA alone."""
    command = ["openssl", "x509", "-trustout", "-addtrust", "clientAuth"]
    done = subprocess.run(command, input=authority().pem.encode(), capture_output=True, check=True)
    trusted = done.stdout.decode()
    assert "BEGIN TRUSTED CERTIFICATE" in trusted
    assert Context(tls(certificate=tls().certificate + trusted)).validity[1] > 32_000_000_000
    assert [each.field for each in pem.faults(tls(client=ClientAuth.REQUIRED, client_ca=trusted))] == [
        "client_ca"
    ]


def test_the_certificates_times_are_known_though_it_is_over():
    """Where there is no other it is used: collectors and sinks work meanwhile."""
    context = Context(Tls(*authority().issue_odd(-2, -1)))
    assert context.validity == pytest.approx((time.time() - 2 * 86400, time.time() - 86400), abs=100)
    assert context.newest().trouble(time.time()).startswith("the certificate has expired (20")
    assert (
        context.newest().trouble(time.time() - 3 * 86400).startswith("the certificate is not valid before 20")
    )


def test_the_certificates_of_the_chain_count_and_no_others():
    """Without one that leads to the root clients refuse it; the root, and what is in the file by mistake, do not matter."""
    root = Link("root", ends=-1)
    policy = Link("policy", root, ends=7)
    issuing, before = Link("issuing", policy, ends=5), Link("issuing", policy, ends=-3)
    own, stray = (
        Link("localhost", issuing, purpose=ExtendedKeyUsageOID.SERVER_AUTH),
        Link("stray", root, ends=1),
    )

    def ends(*chain):
        texts = "".join(each.pem for each in (own, *chain))
        return (Context(Tls(texts, own.key)).validity[1] - time.time()) / 86400

    assert ends() == pytest.approx(30, abs=0.01)
    assert ends(issuing, before, policy, stray, root) == pytest.approx(5, abs=0.01)
    assert ends(policy, issuing) == pytest.approx(5, abs=0.01)
    assert ends(before) == pytest.approx(-3, abs=0.01)


def test_a_chain_that_is_over_keeps_no_new_certificate_out():
    """One that is signed by another root, too, may be over and do no harm: it is told, and used."""
    over = Link("issuing", Link("root"), ends=-3)
    own = Link("localhost", over, purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    context = Context(tls())
    assert context.replace(Tls(own.pem + over.pem, own.key)) == ""
    (told,) = context.newest().hints(time.time())
    assert told.startswith("a certificate between it and its CA has expired (20")


# The exchange


def unbounded(served):
    """Let everybody begin as many handshakes as he likes."""
    served.shared.handshakes.buckets._slack = served.shared.handshakes.shares._slack = 1e9


def test_a_pair_that_does_not_fit_leaves_the_old_one_in_use():
    """OpenSSL's own context would be broken by it, and no handshake would ever succeed again."""
    with locked(tls=tls()) as served:
        for bad in (tls(ciphers=("NO-SUCH",)), tls(client=ClientAuth.REQUIRED)):
            with pytest.raises(ValueError, match=r"."):
                served.replace(tls=bad)
            assert served.get()[0] == 200
        for bad, why in (
            (tls(key=authority().issue()[1]), "the key does not belong to the certificate"),
            (Tls(*authority().issue_odd(-2, -1)), "the certificate has expired"),
            (Tls(*authority().issue_odd(1, 2)), "the certificate is not valid before"),
        ):
            assert served.replace(tls=bad).startswith(why)
            assert served.get()[0] == 200


def test_a_certificate_that_is_over_gives_way_to_any_other():
    """It is no better than one that is not valid yet, whose time may come."""
    context, new = Context(Tls(*authority().issue_odd(-2, -1))), Tls(*authority().issue_odd(1, 2))
    assert context.replace(new) == ""
    assert context.newest().tls == new


def test_a_certificate_that_cannot_be_used_keeps_nobody_in():
    """Who is no user any more, and who has no certificate where one is wanted now, is out all the same."""
    over = Tls(*authority().issue_odd(-2, -1))
    required = replace(over, client=ClientAuth.REQUIRED, client_ca=authority().pem)
    own = client_context(authority().issue("scraper"))
    with locked(None, 0.01, tls=tls(), users={"bob": HASH}) as served:
        assert served.get(authorization=basic("bob", "right"))[0] == 200
        assert "has expired" in served.replace(tls=over, users={"alice": HASH})
        assert served.get(authorization=basic("bob", "right"))[0] == 401
        assert served.get(authorization=basic("alice", "right"))[0] == 200
        assert "has expired" in served.replace(tls=required, users={})
        with pytest.raises((ssl.SSLError, ConnectionError)):
            served.get()
        assert served.get(context=own)[0] == 200


def test_a_certificate_of_clients_is_wanted_from_the_next_connection_on():
    """A context that is swapped in by the server's name would let those in who have none."""
    required = tls(client=ClientAuth.REQUIRED, client_ca=authority().pem)
    own = client_context(authority().issue("scraper"))
    with locked(tls=tls()) as served:
        assert served.get()[0] == 200
        served.replace(tls=required)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            served.get()
        assert served.get(context=own)[0] == 200
        served.replace(tls=tls())
        assert served.get()[0] == 200


def test_a_session_of_before_does_not_let_anybody_in():
    """Tickets are of the context that gave them: who was in without a certificate does not come in by one."""
    context = client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
    with locked(tls=tls()) as served:
        with context.wrap_socket(served.connect(), server_hostname="localhost") as client:
            session = client.session
        served.replace(tls=tls(client=ClientAuth.REQUIRED, client_ca=authority().pem))
        with served.connect() as raw, pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(raw, server_hostname="localhost", session=session)


def test_a_hundred_exchanges_while_others_scrape():
    """Not one scrape fails, and each sees a certificate that was in use."""
    failures, scrapes, end = [], [], threading.Event()

    def scrape(source):
        context = client_context()
        while not end.is_set():
            try:
                scrapes.append(served.get(context=context, source=source)[0])
            except OSError as error:
                failures.append(error)

    made = [Tls(*authority().issue()) for _ in range(4)]
    with locked(tls=made[0]) as served:
        hands = [threading.Thread(target=scrape, args=[f"127.0.1.{number}"]) for number in range(4)]
        unbounded(served)  # they do nothing else
        for each in hands:
            each.start()
        for number in range(100):
            before = len(scrapes)
            served.replace(tls=made[number % 4])
            until(lambda before=before: len(scrapes) > before)
        end.set()
        for each in hands:
            each.join()
    assert failures == []
    assert set(scrapes) == {200}
    assert len(scrapes) >= 100


def test_sessions_of_clients_without_tickets_do_not_pile_up(monkeypatch):
    """OpenSSL would keep twenty thousand of them."""
    context = Context(tls())
    first = context.newest()
    client = client_context(maximum_version=ssl.TLSVersion.TLSv1_2, options=ssl.OP_NO_TICKET)
    with monkeypatch.context() as patched:
        patched.setattr(pem.os, "memfd_create", Mock(side_effect=OSError("too many open files")))
        patched.setattr(module, "_MOST_SESSIONS", -1)
        assert context.newest() is first
    for _ in range(1200):
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = (
            client.wrap_bio(back, there, server_hostname="localhost"),
            context.newest().context.wrap_bio(there, back, server_side=True),
        )
        for _ in range(3):
            for each in ends:
                with suppress(ssl.SSLWantReadError):
                    each.do_handshake()
        with suppress(ssl.SSLWantReadError):
            ends[1].unwrap()
    assert context.newest().context.session_stats()["number"] <= 1000
    assert context.newest() is not first


def test_who_makes_us_write_before_there_is_an_answer_and_does_not_read_is_cut():
    """As by asking for new keys again and again: what waits for him would grow."""

    async def main():
        connection, below = Mock(), Mock()
        secured = Secured(connection, Mock(), Context(tls()), "::1")
        secured.connection_made(below)
        secured.pause_writing()
        assert (below.abort.call_count, connection.pause_writing.call_count) == (1, 0)
        secured.pause_reading()  # there was a request
        secured.pause_writing()
        assert (below.abort.call_count, connection.pause_writing.call_count) == (1, 1)

    asyncio.run(main())


def test_no_session_is_given_to_a_client_of_tls_1_3():
    """Who comes each 15 s makes a handshake each time: no ticket outlives the certificate it was got by."""
    with ExitStack() as stack:
        served = stack.enter_context(locked(tls=tls()))
        with client_context().wrap_socket(served.connect(), server_hostname="localhost") as client:
            client.sendall(REQUEST)
            while client.recv(1 << 16):
                pass
            assert client.version() == "TLSv1.3"
            assert not client.session.has_ticket


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("group", ["ffdhe2048", "ffdhe8192", "secp521r1", "X448"])
def test_nobody_chooses_how_much_a_handshake_costs(group):
    """A stranger with one hello could have it compute for a tenth of a second (D(HE)at, CVE-2002-20001)."""
    with locked(tls=tls()) as served:
        command = ["openssl", "s_client", "-groups", group, "-connect", f"127.0.0.1:{served.port}"]
        done = subprocess.run(command, input=b"", capture_output=True, timeout=30, check=False)
        assert b"handshake failure" in done.stderr
        assert served.get()[0] == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("key", [ec.SECP384R1(), ec.SECP521R1()])
def test_the_key_of_a_certificate_may_be_of_another_curve(key, version):
    """One is for the certificate, and one for what keeps the connection secret."""
    made = Tls(*authority().issue_odd(key=ec.generate_private_key(key)))
    with locked(tls=made) as served:
        assert served.get(context=client_context(maximum_version=version))[0] == 200


def test_nobody_negotiates_again():
    """A client could have the agent compute one handshake after the other on one connection."""
    with locked(tls=tls()) as served:
        command = ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{served.port}"]
        done = subprocess.run(command, input=b"R\n", capture_output=True, timeout=30, check=False)
        assert b"no renegotiation" in done.stderr
        assert served.get()[0] == 200


def test_of_the_ciphers_that_both_know_the_server_chooses():
    """Those that are set stand in their order."""
    names = ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"]
    context = client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(":".join(reversed(names)))
    with ExitStack() as stack:
        served = stack.enter_context(locked(tls=tls(ciphers=tuple(names))))
        with context.wrap_socket(served.connect(), server_hostname="localhost") as client:
            assert client.cipher()[0] == names[0]


# Clients and their certificates


def get_with(served, certificate):
    """Return the status that a client with this certificate gets, or why there is none."""
    try:
        return served.get(context=client_context(certificate))[0]
    except ssl.SSLError as error:
        return error.reason
    except ConnectionError:
        return "cut"


def test_only_clients_with_a_good_certificate_come_in():
    """Of the right CA, in its time, for clients, with a key that fits; all others are told so by an alert."""
    odd = authority().issue_odd
    client = {"purpose": ExtendedKeyUsageOID.CLIENT_AUTH}
    with locked(tls=tls(client=ClientAuth.REQUIRED, client_ca=authority().pem)) as served:
        assert get_with(served, authority().issue("scraper")) == 200
        assert get_with(served, odd(**client)) == 200
        told = {
            "none": get_with(served, None),
            "another CA": get_with(served, stranger().issue("scraper")),
            "expired": get_with(served, odd(-2, -1, **client)),
            "not yet valid": get_with(served, odd(1, 2, **client)),
            "a server's": get_with(served, odd()),
        }
    assert set(told.values()) <= {
        "TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    }  # fmt: skip
    assert told["none"] == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert told["expired"] == "SSLV3_ALERT_CERTIFICATE_EXPIRED"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_may_be_optional(version):
    """Who shows none comes in, who shows a bad one does not."""
    with locked(tls=tls(client=ClientAuth.OPTIONAL, client_ca=authority().pem)) as served:
        for certificate, comes_in in (
            (None, True), (authority().issue("x"), True), (stranger().issue("x"), False),
        ):  # fmt: skip
            context = client_context(certificate, maximum_version=version)
            try:
                assert (served.get(context=context)[0] == 200) is comes_in
            except (ssl.SSLError, ConnectionError):
                assert not comes_in


def test_the_ca_of_clients_need_not_be_a_root():
    """To Go's exporters each certificate of the file is one to trust: the issuing CA, or one client alone."""
    root = Link("root")
    issuing = Link("issuing", root)
    unknown = "TLSV1_ALERT_UNKNOWN_CA"
    client, other = (
        Link(name, issuing, purpose=ExtendedKeyUsageOID.CLIENT_AUTH) for name in ("prom", "other")
    )
    for trusted, status in ((issuing, [200, 200]), (root, [unknown, unknown]), (client, [200, unknown])):
        with locked(tls=tls(client=ClientAuth.REQUIRED, client_ca=trusted.pem)) as served:
            told = [get_with(served, (each.pem, each.key)) for each in (client, other)]
            assert told == status, trusted.certificate.subject


def test_a_name_in_the_certificate_has_to_be_one_of_those_that_are_allowed():
    """Exactly one of DNS name, address, e-mail or URI; a pattern of the client's is a name like others."""
    allowed = tls(client=ClientAuth.REQUIRED, client_ca=authority().pem, client_sans=("scraper", "192.0.2.7"))
    with locked(tls=allowed) as served:
        told = [get_with(served, authority().issue(name)) for name in ("scraper", "192.0.2.7")]
        assert told == [200, 200]
        for name in ("scraper.example", "*.example", "192.0.2.8", "SCRAPER2"):
            assert get_with(served, authority().issue(name)) != 200
        assert served.get(context=client_context(authority().issue("other", "scraper")))[0] == 200


def test_an_address_in_the_certificate_is_compared_as_one():
    """Of IPv6 there are many spellings, and OpenSSL's is not the one that people write."""
    allowed = tls(client=ClientAuth.REQUIRED, client_ca=authority().pem, client_sans=("2001:db8::7",))
    with locked(tls=allowed) as served:
        assert get_with(served, authority().issue("2001:db8::7")) == 200
        assert get_with(served, authority().issue("2001:db8::8")) != 200


def test_a_certificate_with_a_name_that_is_no_text_does_not_come_in(caplog):
    """It is a client's fault and is logged as such, not as one of ours."""
    names = b"\x30\x04\x82\x02\xff\xfe"  # a DNS name of two bytes
    odd = authority().issue_odd(purpose=ExtendedKeyUsageOID.CLIENT_AUTH, names=names)
    allowed = tls(client=ClientAuth.REQUIRED, client_ca=authority().pem)
    with caplog.at_level(logging.INFO), locked(tls=allowed, access_log=True) as served:
        assert get_with(served, odd) != 200
        assert get_with(served, authority().issue("scraper")) == 200
    (refusal,) = (each for each in caplog.messages if "no TLS" in each)
    assert "the client's certificate cannot be read" in refusal
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        (lambda: authority().issue_odd(-2, -1), "certificate has expired"),
        (lambda: authority().issue_odd(1, 2), "certificate is not yet valid"),
        (lambda: authority().issue("other.example"), "Hostname mismatch"),
        (lambda: stranger().issue(), "unable to get local issuer certificate"),
    ],
)
def test_a_client_sees_what_is_wrong_with_the_server(certificate, why):
    """Expired, not yet valid, another host's, another CA's: the client refuses, and the server goes on."""
    with locked(tls=Tls(*certificate())) as served:
        for _ in range(3):
            with pytest.raises(ssl.SSLCertVerificationError, match=why):
                served.get()
        insecure = client_context(check_hostname=False)
        insecure.verify_mode = ssl.CERT_NONE
        assert served.get(context=insecure)[0] == 200


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_the_versions_are_those_that_are_set(version):
    """And never one that is older than TLS 1.2."""
    with locked(tls=tls(minimum=f"TLSv{version}", maximum=f"TLSv{version}")) as served:
        with client_context().wrap_socket(served.connect(), server_hostname="localhost") as client:
            assert client.version() == f"TLSv{version}"
        other = ssl.TLSVersion.TLSv1_3 if version == "1.2" else ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            served.get(context=client_context(minimum_version=other, maximum_version=other))


def test_cipher_and_curve_are_those_that_are_set():
    """A list of one cipher, and a curve that the client has too."""
    with locked(
        tls=tls(ciphers=("ECDHE-ECDSA-CHACHA20-POLY1305",), maximum="TLSv1.2", curve="secp384r1")
    ) as served:
        with client_context().wrap_socket(served.connect(), server_hostname="localhost") as client:
            assert client.cipher()[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"
        context = client_context()
        context.set_ecdh_curve("prime256v1")
        with pytest.raises(ssl.SSLError):
            served.get(context=context)


# Strangers


@pytest.mark.needs("curl")
def test_curl_and_openssl_are_served(tmp_path):
    """Those with which an operator tries it: with the CA, with a client's certificate, with the wrong name."""
    ca, own = tmp_path / "ca.pem", tmp_path / "own.pem"
    ca.write_text(authority().pem)
    own.write_text("".join(authority().issue("scraper")))
    with locked(tls=tls(client=ClientAuth.REQUIRED, client_ca=authority().pem)) as served:
        command = ["curl", "-sS", "--cacert", str(ca), f"https://localhost:{served.port}/metrics"]
        done = subprocess.run([*command, "--cert", str(own)], capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (0, BODY)
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 56
        assert b"certificate required" in done.stderr
        done = subprocess.run(
            [
                *command[:-1],
                "--resolve",
                f"other.example:{served.port}:127.0.0.1",
                f"https://other.example:{served.port}/",
            ],
            capture_output=True,
            check=False,
        )
        assert (done.returncode, b"other.example" in done.stderr) == (60, True)
        for version in ("-tls1_2", "-tls1_3"):
            asked = [
                "openssl",
                "s_client",
                "-connect",
                f"localhost:{served.port}",
                "-CAfile",
                str(ca),
                "-cert",
                str(own),
            ]
            done = subprocess.run([*asked, version, "-quiet", "-verify_return_error"], input=REQUEST, capture_output=True, check=False, timeout=30)  # fmt: skip
            assert done.stdout.endswith(BODY), done.stderr
        done = subprocess.run(["openssl", "s_client", "-connect", f"localhost:{served.port}", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], input=b"", capture_output=True, check=False, timeout=30)  # fmt: skip
        assert b"alert protocol version" in done.stderr


def test_nothing_of_a_connection_is_left(monkeypatch):
    """Neither after an answer, nor after a failed handshake, nor after a client that vanishes."""
    with locked(tls=tls()) as served:
        unbounded(served)
        for _ in range(20):
            served.get("/big")
            with pytest.raises(ssl.SSLError):
                served.get(context=ssl.create_default_context())
            with served.connect(b"\x16\x03\x01"), served.connect(REQUEST), served.connect():
                pass
        until(lambda: len(served.connections) == 0)
        assert len(served.shared.handshakes) == 0


class Held:
    """A connection that takes note of its end."""

    is_cut = False

    def abort(self):
        self.is_cut = True


def test_who_holds_most_makes_room():
    """Whoever begins many handshakes and ends none is in the way of himself, and not of the others."""
    crowd, honest = Crowd(4), Held()
    crowd.add(honest, "honest")
    many = [Held() for _ in range(6)]
    for each in many:
        crowd.add(each, "many")
    assert [each.is_cut for each in many] == [True] * 3 + [False] * 3
    assert not honest.is_cut
    crowd.discard(honest)
    crowd.discard(honest)
    assert len(crowd) == 3


def begun(handshakes, address, now, share="", connection=None):
    """Tell whether a handshake may begin, and have it cost two milliseconds."""
    if handshakes.begin(connection or Held(), address, share, now):
        return False
    handshakes.spend(share, 0.002, now)
    return True


def test_handshakes_of_an_address_are_bounded_by_the_second():
    """Twenty at once, one each twentieth of a second after that; who is silent afterwards is counted too."""
    handshakes = Handshakes()
    made = [Held() for _ in range(25)]
    told = [begun(handshakes, "2001:db8::1", 0.0, connection=each) for each in made]
    assert told == [True] * 20 + [False] * 5
    assert not begun(handshakes, "2001:db8::2", 0.01), "it is one network"
    assert begun(handshakes, "2001:db8::2", 0.06)
    assert begun(handshakes, "2001:db8:1::2", 0.06)
    assert len(handshakes) == 22
    handshakes.complete(made[0], "2001:db8::1")
    assert len(handshakes) == 22
    handshakes.end(made[0])
    assert len(handshakes) == 21


def test_a_proxys_connection_is_forgotten_with_its_request():
    """Its handshake is not counted, but its silence is."""
    handshakes, connection = Handshakes(), Held()
    handshakes.complete(connection, "127.0.0.1")
    assert len(handshakes) == 1
    handshakes.end(connection)
    assert len(handshakes) == 0


def test_handshakes_of_all_are_bounded_by_what_they_cost():
    """A fifth of a core for strangers together; whom a listener knows has another share."""
    handshakes = Handshakes()
    told = [begun(handshakes, f"10.0.0.{number}", 0.0) for number in range(60)]
    assert told == [True] * 40 + [False] * 20
    assert handshakes.begin(Held(), "10.0.1.1", "", 0.004) == "too many handshakes of all in a second"
    assert begun(handshakes, "10.0.1.1", 0.03)
    assert begun(handshakes, "10.0.1.2", 0.03, "0.0.0.0:1")
    handshakes.spend("", 0.128, 0.03)
    assert [begun(handshakes, "10.0.1.1", now) for now in (0.5, 0.68)] == [False, True]


def test_strangers_do_not_make_those_go_who_are_known():
    """However many are under way: in a handshake, or silent after theirs."""
    handshakes, known = Handshakes(), [Held(), Held()]
    strangers = [Held() for _ in range(600)]
    for each in known:
        assert begun(handshakes, "10.0.0.1", 0.0, "0.0.0.0:1", each)
    handshakes.complete(known[1], "10.0.0.1")
    for number, each in enumerate(strangers):
        assert begun(handshakes, f"10.1.{number % 200}.{number // 200}", number / 10, connection=each)
        if number % 2:
            handshakes.complete(each, f"10.1.{number % 200}.{number // 200}")
    assert [each.is_cut for each in known] == [False, False]
    assert len(handshakes) == 2 + 31 + 256, "there is room for one more: the last handshake is over"


def test_who_makes_a_handshake_dear_pays_for_it():
    """A chain of fifty certificates that lead nowhere is looked at before its client is refused."""
    links = [Link("root")]
    for number in range(50):
        links.append(Link(f"link-{number}", links[-1]))
    own = Link("client", links[-1], purpose=ExtendedKeyUsageOID.CLIENT_AUTH)
    long = client_context(("".join(each.pem for each in (own, *reversed(links))), own.key))
    with locked(tls=tls(client=ClientAuth.REQUIRED, client_ca=authority().pem)) as served:
        spent = []
        served.lock.spend = lambda _, cpu: spent.append(cpu)
        with pytest.raises(ssl.SSLError):
            served.get(context=client_context())
        usual, spent[:] = sum(spent), []
        with pytest.raises(ssl.SSLError):
            served.get(context=long)
    assert 0 < 3 * usual < sum(spent)


def test_whom_a_listener_has_let_in_is_known_for_an_hour():
    """By address, of IPv6 by its network; of more than a thousand those are known that came last."""
    known = Known()
    known.add("2001:db8::1", 0.0)
    assert [known.has("2001:db8::2", now) for now in (0.0, 3599.0, 3600.0)] == [True, True, False]
    assert not known.has("2001:db8:1::1", 0.0)
    for number in range(1024):
        known.add(f"10.0.{number // 256}.{number % 256}", 1.0)
    assert [known.has(each, 2.0) for each in ("2001:db8::1", "10.0.0.0")] == [False, True]
    for each in ("10.0.0.0", "10.1.0.0"):
        known.add(each, 3.0)
    assert [known.has(each, 4.0) for each in ("10.0.0.0", "10.0.0.1")] == [True, False], (
        "who comes again is new"
    )


def given_away(served):
    """Have strangers spend all that they share for the next minute."""
    served.shared.handshakes.spend("", 60.0, time.monotonic())


def test_a_flood_of_strangers_does_not_take_the_share_of_who_was_in():
    """From more addresses than one bound for each would hold; and a wrong password makes nobody known."""
    context = client_context()
    with locked(None, 0.0, tls=tls(), users={"a": HASH}) as served:

        def get(source, password):
            try:
                return served.get(context=context, source=source, authorization=basic("a", password))[0]
            except ssl.SSLError as error:
                return error.reason

        assert get("127.0.0.9", "right") == 200
        assert get("127.0.0.8", "wrong") == 401
        given_away(served)
        assert get("127.0.0.7", "right") == "TLSV1_ALERT_INTERNAL_ERROR"
        assert get("127.0.0.8", "wrong") == "TLSV1_ALERT_INTERNAL_ERROR"
        assert get("127.0.0.9", "right") == 200


def test_an_address_that_has_had_enough_is_told_so_by_an_alert():
    """Without any computing, and other addresses are served meanwhile."""
    context = client_context()
    with locked(tls=tls()) as served:
        served.shared.handshakes.buckets = Buckets(3600.0, 20)  # no time that these take gives another one

        def get(source):
            try:
                return served.get(context=context, source=source)[0]
            except ssl.SSLError as error:
                return error.reason

        assert [get("127.0.0.5") for _ in range(21)] == [200] * 20 + ["TLSV1_ALERT_INTERNAL_ERROR"]
        assert get("127.0.0.6") == 200
        served.replace(trusted_proxies=("127.0.0.5",))
        assert [get("127.0.0.5") for _ in range(60)] == [200] * 60, "a proxy has many clients"


def test_who_was_in_without_tls_is_a_stranger_to_it():
    """What was open before a reload was open for everybody."""
    with locked(access_log=True) as served:
        assert served.get()[0] == 200
        served.replace(tls=tls(), users={"a": HASH})
        given_away(served)
        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
            served.get()


def test_who_is_known_at_one_listener_is_in_nobodys_way_at_another():
    """Else a listener that lets in everybody would open the share of one that does not."""
    shared = Shared()
    open_to_all, strict = (Lock(Listener(f"0.0.0.0:{port}", tls=tls()), shared) for port in (1, 2))

    async def nothing(scope, receive, send):
        """Answer nothing."""

    for each in (open_to_all, strict):
        request = {"type": "http", "scheme": "https", "client": ("192.0.2.1", 1), "method": "GET"}
        asyncio.run(each.guarded(nothing)({**request, "path": "/", "headers": []}, None, None))
    open_to_all.spend("192.0.2.1", 60.0)
    assert open_to_all.begin(Held(), open_to_all.context, "192.0.2.1") is None
    assert strict.begin(Held(), strict.context, "192.0.2.1") is not None


def test_what_a_proxys_handshakes_cost_is_no_strangers():
    """It is trusted, and has many clients."""
    lock = Lock(Listener("0.0.0.0:1", tls=tls(), trusted_proxies=("192.0.2.1",)), Shared())
    lock.spend("192.0.2.1", 60.0)
    assert lock.begin(Held(), lock.context, "192.0.2.2") is not None
