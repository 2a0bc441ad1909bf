"""TLS as settings: one meaning everywhere, and what is wrong with a file is said with its setting's name."""

import os
import ssl
from pathlib import Path

import pytest
import trustme

from rscollector.api import Misconfigured
from rscollector.kit.tls import Tls, TlsFiles, certificate_file, check_files, client_context


@pytest.fixture
def files(tmp_path):
    """Return a directory with an authority, and a client's certificate and key, apart and together."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client = authority.issue_cert("client")
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.crt")
    client.private_key_pem.write_to_path(tmp_path / "client.key")
    client.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    trustme.CA().issue_cert("other").private_key_pem.write_to_path(tmp_path / "other.key")
    return tmp_path


def test_a_ca_implies_tls():
    """And without either there is none."""
    assert [Tls().uses_tls, Tls(tls=True).uses_tls, Tls(tls_ca="/ca").uses_tls] == [False, True, True]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"tls_certificate": "/c"}, "tls_certificate: it is of no use without tls"),
        ({"tls_certificate": "/c", "tls_key": "/k"}, "tls_certificate: it is of no use without tls"),
        ({"tls": True, "tls_key": "/k"}, "tls_key: it belongs to a tls_certificate, which is missing"),
    ],
)
def test_settings_that_have_no_effect_are_mistakes(settings, sentence):
    """Somebody believes that they have one."""
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        Tls(**settings)


def test_a_certificate_may_have_its_key_in_the_same_file_or_in_another(files):
    """Both are the same to whoever connects."""
    for settings in (
        {"tls_certificate": files / "client.pem"},
        {"tls_certificate": files / "client.crt", "tls_key": files / "client.key"},
    ):
        client_context(
            TlsFiles(tls_ca=str(files / "ca.pem"), **{name: str(path) for name, path in settings.items()})
        )


def test_the_server_is_always_verified(files):
    """Its certificate and its name."""
    for settings in (TlsFiles(), TlsFiles(tls_ca=str(files / "ca.pem"))):
        context = client_context(settings)
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_ca_of_ones_own_is_the_only_one(files):
    """Else any of the system's could speak for the server."""
    own = client_context(TlsFiles(tls_ca=str(files / "ca.pem")))
    assert [dict(each[0] for each in ca["subject"])["organizationName"][:7] for ca in own.get_ca_certs()] == [
        "trustme"
    ]
    assert len(client_context(TlsFiles()).get_ca_certs()) != 1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"tls_ca": "none.pem"}, "tls_ca = {}/none.pem: No such file or directory"),
        ({"tls_ca": "client.key"}, "tls_ca = {}/client.key: no certificate in PEM is in it"),
        ({"tls_ca": "junk"}, "tls_ca = {}/junk: no certificate in PEM is in it"),
        (
            {"tls_certificate": "client.crt"},
            "tls_certificate = {}/client.crt: it is no file in PEM, or not a whole one",
        ),
        (
            {"tls_certificate": "client.pem", "tls_key": "none"},
            "tls_key = {}/none: No such file or directory",
        ),
        (
            {"tls_certificate": "client.crt", "tls_key": "other.key"},
            "tls_certificate = {}/client.crt: the key is not that of the first certificate in it",
        ),
        ({"tls_certificate": "client.crt", "tls_key": "locked.key"}, "the client's key has a passphrase"),
        ({"tls_ca": "."}, "tls_ca = {}: Is a directory"),
        ({"tls_ca": "pipe"}, "tls_ca = {}/pipe: this is a pipe, and no file"),
        ({"tls_certificate": "pipe"}, "tls_certificate = {}/pipe: this is a pipe, and no file"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_setting(files, settings, sentence):
    """Missing, none of PEM, another's key, a key that would ask for its passphrase on the terminal."""
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key((files / "client.key").read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    (files / "locked.key").write_bytes(key.private_bytes(*form, locked))
    (files / "junk").write_text("no certificate\n")
    os.mkfifo(files / "pipe")
    with pytest.raises(Misconfigured) as raised:
        check_files(TlsFiles(**{name: str(files / each) for name, each in settings.items()}))
    assert str(raised.value).startswith(sentence.format(files))


def test_a_key_that_was_left_in_the_certificates_file_does_not_count(files):
    """The one that tls_key names comes first, and drivers take the first."""
    both = (files / "other.key").read_bytes() + (files / "client.crt").read_bytes().rstrip(b"\n")
    (files / "old.pem").write_bytes(both)
    apart = TlsFiles(tls_certificate=str(files / "old.pem"), tls_key=str(files / "client.key"))
    check_files(apart)
    with certificate_file(apart) as path:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(path)


def test_a_driver_that_takes_one_file_is_given_one(files):
    """Certificate and key are put together in memory only, and it is gone afterwards."""
    apart = TlsFiles(tls_certificate=str(files / "client.crt"), tls_key=str(files / "client.key"))
    with certificate_file(apart) as path:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(path)
        assert path.startswith("/proc/self/fd/")
    assert not Path(path).exists()
    with certificate_file(TlsFiles(tls_certificate=str(files / "client.pem"))) as path:
        assert path == str(files / "client.pem")
    with certificate_file(TlsFiles()) as path:
        assert path == ""
