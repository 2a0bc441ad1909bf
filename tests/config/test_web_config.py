"""The exporter-toolkit's file: one in `web_config` for each key, right and wrong, with what is said of it.

What a file in `right` is a hint for stands in the line before, `# hint: …`; what is wrong with one in `wrong`, in
its last line.
"""

import json
import re
import textwrap
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import example, given
from hypothesis import strategies as st

from rscollector.config import pem, web_config
from rscollector.config.pem import LockFiles
from rscollector.config.types import ClientAuth, Config, Listener

CORPUS = Path(__file__).parent / "web_config"
HASH = "$2b$10$6zGv0tXvRrJfM7fKcSEvAuVbK0aYJ5lZ1gX5v9o3mFz5h5e9gYw1S"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with what the files of the corpus name."""
    directory = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    server, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    key = server.private_key_pem.bytes()
    certificate = b"".join(each.bytes() for each in server.cert_chain_pems)
    locked = load_pem_private_key(key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    for name, content in {
        "server.crt": certificate,
        "server.key": key,
        "other.key": other.private_key_pem.bytes(),
        "ca.crt": authority.cert_pem.bytes(),
        "encrypted.key": locked,
        "damaged.crt": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "damaged.key": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    }.items():
        (directory / name).write_bytes(content)
    return directory


def parsed(text, place):
    """Return what a text is as a file in that directory."""
    return web_config.parse(text, place / "web-config.yml", LockFiles())


def corpus(kind):
    """Return the files of a kind, by their names."""
    files = sorted((CORPUS / kind).glob("*.yml"))
    assert files
    return pytest.mark.parametrize("file", files, ids=[each.stem for each in files])


@corpus("right")
def test_what_is_right_is_taken(file, place):
    """It has no mistakes, and the hints that it says, each in the line that it is about."""
    text = file.read_text()
    found = parsed(text, place)
    assert found.mistakes == ()
    wanted = [line.strip()[8:] for line in text.splitlines() if line.strip().startswith("# hint: ")]
    assert len(found.hints) == len(wanted)
    for hint, sentence in zip(found.hints, wanted, strict=True):
        assert sentence in hint
        if number := re.search(r"web-config.yml:(\d+):", hint):
            assert text.splitlines()[int(number[1]) - 2].strip() == f"# hint: {sentence}"


@corpus("wrong")
def test_what_is_wrong_is_refused_with_a_sentence(file, place):
    """There is one mistake, the one that the last line tells, and it says in which file it is."""
    text = file.read_text()
    found = parsed(text, place)
    sentence = text.splitlines()[-1].removeprefix("# wrong: ").replace("DIR", str(place))
    (mistake,) = found.mistakes
    assert mistake.startswith(f"{place}/web-config.yml")
    assert sentence in mistake


@pytest.mark.parametrize("text", ["", "---\n", "\n# nothing\n", "~\n"])
def test_an_empty_file_locks_nothing_and_says_so(text, place):
    """As with exporters it is right; a hint says what it comes to."""
    found = parsed(text, place)
    assert (found.lock, found.mistakes) == (Listener(""), ())
    assert found.hints == (f"{place}/web-config.yml: is empty and locks nothing",)


@pytest.mark.parametrize(
    ("wanted", "found", "mistakes"),
    [
        ("[X25519, CurveP384, CurveP256]", "secp384r1", []),
        ("[X25519]", None, ["Python on this host cannot set X25519; leave it out, and it is P-256"]),
    ],
)
def test_a_curve_that_python_cannot_set_is_passed_over(place, monkeypatch, wanted, found, mistakes):
    """The toolkit's file is one for all hosts, and Debian 12's Python knows no X25519."""
    monkeypatch.setattr(pem, "has_curve", lambda name: name != "X25519")
    text = f"tls_server_config: {{cert_file: server.crt, key_file: server.key, curve_preferences: {wanted}}}"
    read = parsed(text, place)
    assert [each.rpartition("curve_preferences: ")[2] for each in read.mistakes] == mistakes
    assert mistakes or read.lock.tls.curve == found


def test_all_that_a_file_says_is_taken(place):
    """TLS with OpenSSL's names, the texts of the files, users by the names that stand there, headers and rate."""
    text = f"""\
        tls_server_config:
          cert_file: server.crt
          key_file: {place}/server.key
          client_ca_file: ca.crt
          client_auth_type: RequireAndVerifyClientCert
          client_allowed_sans: [prometheus.example.org]
          min_version: TLS12
          max_version: TLS12
          cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]
          curve_preferences: [CurveP384]
        http_server_config:
          headers: {{X-Frame-Options: deny, X-XSS-Protection: 1, Content-Security-Policy: ''}}
        basic_auth_users: {{yes: {HASH}}}
        rate_limit: {{interval: 1m0.5s, burst: 20}}
        """
    lock = parsed(textwrap.dedent(text), place).lock
    tls = lock.tls
    assert (tls.certificate, tls.key) == (
        (place / "server.crt").read_text(),
        (place / "server.key").read_text(),
    )
    assert (tls.client, tls.client_ca) == (ClientAuth.REQUIRED, (place / "ca.crt").read_text())
    assert tls.client_sans == ("prometheus.example.org",)
    assert (tls.minimum, tls.maximum, tls.curve) == ("TLSv1.2", "TLSv1.2", "secp384r1")
    assert tls.ciphers == ("ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES256-GCM-SHA384")
    assert lock.headers == {"X-Frame-Options": "deny", "X-XSS-Protection": "1"}
    assert lock.users == {"yes": HASH}
    assert (lock.rate_interval, lock.rate_burst) == (60.5, 20)


@pytest.mark.parametrize("around", ["\ufeff{}", "# Behörde: é\n{}\nß\n", "é\n\ufeff{}"])
def test_what_stands_around_a_certificate_may_be_in_any_language(around, place):
    """Bundles name their authorities, `openssl x509 -text` says what is in one, and some editors leave a mark."""
    for name in ("server.crt", "server.key", "ca.crt"):
        (place / f"around-{name}").write_text(around.format((place / name).read_text()), "utf-8")
    lines = [
        f"{key}_file: around-{name}"
        for key, name in (("cert", "server.crt"), ("key", "server.key"), ("client_ca", "ca.crt"))
    ]
    text = "\n  ".join(("tls_server_config:", *lines, "client_auth_type: RequireAndVerifyClientCert"))
    assert parsed(text, place).mistakes == ()


def test_ciphers_of_tls_1_3_alone_leave_no_room_for_1_2(place):
    """OpenSSL has a list for 1.2 only: left empty, it would be the default one."""
    text = (CORPUS / "right" / "cipher_suites_of_1_3.yml").read_text()
    assert (parsed(text, place).lock.tls.minimum, parsed(text, place).lock.tls.ciphers) == ("TLSv1.3", ())


def test_certificate_and_key_may_stand_in_the_file(place):
    """As in the toolkit: then only this file is there to be read."""
    pairs = {name: (place / f"server.{end}").read_text() for name, end in (("cert", "crt"), ("key", "key"))}
    text = "tls_server_config:\n" + "".join(
        f"  {name}: |\n{textwrap.indent(pem, '    ')}" for name, pem in pairs.items()
    )
    (place / "inline.yml").write_text(text)
    files = LockFiles()
    found = web_config.read(place / "inline.yml", files)
    assert (found.mistakes, found.lock.tls.certificate) == ((), pairs["cert"])
    assert list(files.seen) == [f"{place}/inline.yml"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory"),
        (b"\xff", "is not UTF-8"),
        (b"#" * (1 << 20) + b"\n", "longer than 1024 KiB: is it the right file?"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_mistake(content, why, tmp_path):
    """And never a lock that is open."""
    path = tmp_path / "web-config.yml"
    if content is not None:
        path.write_bytes(content)
    (mistake,) = web_config.read(path, LockFiles()).mistakes
    assert why in mistake
    assert str(path) in mistake


words = st.sampled_from(
    [
        "tls_server_config",
        "cert_file",
        "client_auth_type",
        "client_allowed_sans",
        "cipher_suites",
        "basic_auth_users",
        "rate_limit",
        "interval",
        "burst",
        "http_server_config",
        "headers",
        "X-Frame-Options",
        "http2",
        "~",
        "yes",
        "1s",
        "5",
        "server.crt",
        "RequestClientCert",
        "<<",
        "\\0",
        "�",
    ]
)
trees = st.recursive(
    words | st.text(max_size=9) | st.none() | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=5), inner, max_size=3)
    ),
)


@given(st.text() | st.text("{}[]:- \n\t&*a!%?|\"'\\Ux0") | trees.map(json.dumps))
@example('a: "\\U0011FFFF"')
@example('a: "\\UFFFFFFFF"')
@example(f"%YAML {'9' * 5000}.1\n---\na: b")
@example("rate_limit: &a {interval: *a}")
@example('tls_server_config: {cert_file: "a\\0b", key_file: "\\ud800"}')
@example(f"rate_limit: {{interval: {'9' * 400}h, burst: {'9' * 5000}}}")
@example('basic_auth_users: {"\\ud800\\udc00": ""}')
def test_whatever_it_says_there_are_sentences(text):
    """Nothing that somebody writes ends the process that reads it; what is right, a listener can be made of."""
    found = web_config.parse(text, Path("/nowhere/web-config.yml"), LockFiles())
    assert all(each.startswith("/nowhere/web-config.yml") for each in (*found.mistakes, *found.hints))
    read = Config.from_json(Config(listeners=(found.lock,)).to_json())
    assert found.mistakes or read.listeners == (found.lock,)


def test_without_the_library_passwords_are_refused(place, monkeypatch):
    """Nobody could log in; the sentence names the package."""
    monkeypatch.setattr(web_config, "find_spec", lambda name: None)
    (mistake,) = parsed(f"basic_auth_users: {{alice: {HASH}}}", place).mistakes
    assert "passwords need Debian's package python3-bcrypt" in mistake


def test_no_mistake_shows_a_password_or_a_hash(place):
    """What stands in the place of a hash may be a password."""
    text = "basic_auth_users:\n  alice: hunter2\n  bob: $2b$18$" + HASH[7:] + "\n"
    said = " ".join(parsed(text, place).mistakes)
    assert said.count("basic_auth_users") == 2
    assert "hunter2" not in said
    assert HASH[10:] not in said
