"""The section `[web]`: addresses, each with its rights and its lock, and what is said of them."""

import shutil
import tempfile
from pathlib import Path

import pytest
import trustme

from rscollector.config.load import again, load
from rscollector.config.looker import look
from rscollector.config.types import ClientAuth, Listener

HASH = "$2b$10$6zGv0tXvRrJfM7fKcSEvAuVbK0aYJ5lZ1gX5v9o3mFz5h5e9gYw1S"
TLS = 'tls = { certificate = "server.crt", key = "server.key"'


@pytest.fixture
def web(tmp_path):
    """Write certificates and a configuration, and load it: `web(toml)`."""
    authority = trustme.CA()
    for name in ("server", "new"):
        issued = authority.issue_cert("localhost")
        (tmp_path / f"{name}.crt").write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        (tmp_path / f"{name}.key").write_bytes(issued.private_key_pem.bytes())
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")

    def loaded(toml):
        (tmp_path / "rscollector.toml").write_text(toml)
        return load(tmp_path / "rscollector.toml")

    loaded.directory = tmp_path
    return loaded


def mistakes(loaded, directory):
    """Return the mistakes as somebody in that directory would name the files."""
    return [each.replace(f"{directory}/", "") for each in loaded.mistakes]


def test_the_short_form_has_no_lock_and_all_rights(web):
    """As ever: metrics, page and API for whoever reaches it; nothing is read, and nothing watched."""
    config = web('[web]\nlisten = ["127.0.0.1:1", "[::1]:2"]\n').config
    assert config.listeners == (Listener("127.0.0.1:1"), Listener("[::1]:2"))
    assert (config.seen, config.web) == ({}, {})


def test_a_web_configuration_file_locks_every_address_of_the_short_form(web):
    """Its path begins at the directory of the file that names it."""
    (web.directory / "web-config.yml").write_text(f"basic_auth_users: {{alice: {HASH}}}\n")
    loaded = web('[web]\nlisten = [":1", "[::1]:2"]\nconfig_file = "web-config.yml"\nprefix = "/db1/"\n')
    assert [each.users for each in loaded.config.listeners] == [{"alice": HASH}] * 2
    assert {each.prefix for each in loaded.config.listeners} == {"/db1"}
    assert list(loaded.config.seen) == [str(web.directory / "web-config.yml")]


def test_a_listener_has_rights_and_a_lock_of_its_own(web):
    """With one of them, the default address is none any more: it would be a way round the lock."""
    loaded = web(
        '[[web.listener]]\naddress = "0.0.0.0:1"\nrights = ["metrics"]\n'
        f'{TLS}, client_ca = "ca.crt", client_sans = ["prometheus"], minimum = "TLSv1.3" }}\n'
        'trusted_proxies = ["10.0.0.0/8", "::1"]\naccess_log = true\n'
        f'[[web.listener]]\naddress = "unix:/run/web.sock"\nusers = {{ alice = "{HASH}" }}\n'
    )
    first, second = loaded.config.listeners
    assert (first.address, first.rights) == ("0.0.0.0:1", ("metrics",))
    assert (first.trusted_proxies, first.access_log) == (("10.0.0.0/8", "::1"), True)
    assert first.tls.certificate == (web.directory / "server.crt").read_text()
    assert (first.tls.client, first.tls.client_sans) == (ClientAuth.REQUIRED, ("prometheus",))
    assert first.tls.minimum == "TLSv1.3"
    assert second == Listener("unix:/run/web.sock", users={"alice": HASH})
    assert loaded.hints == ()


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("address = 'db1:1'", "3: web.listener.0: address: expected an address and port such as"),
        (
            "address = 'unix:web.sock'",
            '3: web.listener.0: address: expected an address and port such as "127',
        ),
        ("rights = ['metrics']", "3: web.listener.0.address: is required: Where it listens"),
        ("address = ':1'\nrights = []", "3: web.listener.0: rights: expected one at least"),
        (
            "address = ':1'\nrights = ['control']",
            '5: web.listener.0.rights.0: expected "metrics" or "read", not "control"',
        ),
        ("address = ':1'\nuser = {}", '5: web.listener.0.user: unknown key; did you mean "users"?'),
        (
            "address = ':1'\nusers = { alice = 'secret' }",
            "5: web.listener.0.users.alice: expected a bcrypt hash",
        ),
        ("address = ':1'\nprefix = 'db1'", "3: web.listener.0: prefix: expected a path of letters"),
        ("address = ':1'\nprefix = '/a?b'", "3: web.listener.0: prefix: expected a path of letters"),
        (
            "address = ':1'\ntrusted_proxies = ['10.0.0.1/8']",
            "3: web.listener.0: trusted_proxies: expected an address or a network: 10.0.0.1/8 has host bits set",
        ),
        (
            "address = ':1'\nconfig_file = 'w.yml'\nusers = { alice = 'x' }",
            "3: web.listener.0: config_file: it says what tls and users say here; keep one of them",
        ),
        ("address = ':1'\nconfig_file = 'none.yml'", "none.yml cannot be read: No such file or directory"),
        (f"address = 'unix:/s'\n{TLS} }}", "3: web.listener.0: tls: a Unix socket has none"),
        ("address = '127.0.0.1:9'", "1: web: listen: 127.0.0.1:9 is there twice"),
        (
            "address = 'unix:/s'\n[[web.listener]]\naddress = 'unix:/s'",
            "1: web: listener: unix:/s is there twice",
        ),
        (
            "address = 'unix:/run/s'\n[[web.listener]]\naddress = 'unix:/run//web/../s'",
            "1: web: listener: unix:/run/s is there twice",
        ),
        (
            f"address = 'unix:/{'s' * 107}'",
            "3: web.listener.0: address: the kernel knows no path of a socket beyond 107 bytes",
        ),
        ("address = ':1'\nprefix = '/a/../b'", "3: web.listener.0: prefix: expected a path of letters"),
        ("address = ':1'\nprefix = '/.'", "3: web.listener.0: prefix: expected a path of letters"),
        ("address = ':1'\ntls = { key = 'server.key' }", "5: web.listener.0.tls.certificate: is required"),
        (
            f"address = ':1'\n{TLS}, client_sans = ['a'] }}",
            "5: web.listener.0.tls: client_sans: they verify nobody without a client_ca",
        ),
        (
            f"address = ':1'\n{TLS}, client = 'optional' }}",
            "5: web.listener.0.tls: client_ca: is required: without it any certificate of a public CA would pass",
        ),
        (
            f"address = ':1'\n{TLS}, client_ca = 'ca.crt', client = 'none' }}",
            'client: with "none" the client_ca verifies nobody; write "required"',
        ),
        (
            f"address = ':1'\n{TLS}, minimum = 'TLSv1.1' }}",
            '5: web.listener.0.tls.minimum: expected "TLSv1.2" or "TLSv1.3", not "TLSv1.1"',
        ),
        (
            "address = ':1'\ntls = { certificate = 'server.crt', key = 'new.key' }",
            "5: web.listener.0.tls.key: new.key: it is not the key of the certificate",
        ),
        (
            "address = ':1'\ntls = { certificate = 'no.crt', key = 'server.key' }",
            "5: web.listener.0.tls.certificate: no.crt cannot be read: No such file or directory",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(toml, sentence, web):
    """There is no configuration then: the agent does not start, and a reload changes nothing."""
    loaded = web(f"[web]\nlisten = ['127.0.0.1:9']\n[[web.listener]]\n{toml}\n")
    assert loaded.config is None
    (mistake,) = mistakes(loaded, web.directory)
    assert sentence in mistake


def test_what_would_hold_for_no_address_is_refused(web):
    """Whoever writes a lock above his listeners means them: it would be open."""
    loaded = web('[web]\nconfig_file = "w.yml"\n[[web.listener]]\naddress = ":1"\n')
    (mistake,) = mistakes(loaded, web.directory)
    why = "holds for the addresses of `listen`, and there are none; write it into the listener"
    assert mistake == f"rscollector.toml:1: web: config_file: {why}"


HOLE = "answers everybody who reaches this host; lock it with web.config_file, or by a firewall"


@pytest.mark.parametrize(
    ("toml", "hints"),
    [
        ('listen = ["127.0.0.1:1", "[::1]:1"]', []),
        ('listen = [":1"]', [f"rscollector.toml:2: web.listen: 0.0.0.0:1 {HOLE}"]),
        ('[[web.listener]]\naddress = "[::]:1"', [f"rscollector.toml:2: web.listener.0: [::]:1 {HOLE}"]),
        ('[[web.listener]]\naddress = "unix:/s"', []),
        (
            f'[[web.listener]]\naddress = ":1"\nusers = {{ a = "{HASH}" }}',
            [
                "rscollector.toml:2: web.listener.0: 0.0.0.0:1 takes passwords without TLS: who listens on the way reads them"
            ],
        ),
        (f'[[web.listener]]\naddress = ":1"\nusers = {{ a = "{HASH}" }}\n{TLS} }}', []),
        (
            f'[[web.listener]]\naddress = ":1"\n{TLS} }}',
            [f"rscollector.toml:2: web.listener.0: 0.0.0.0:1 {HOLE}"],
        ),
        (f'[[web.listener]]\naddress = ":1"\n{TLS}, client_ca = "ca.crt" }}', []),
        (
            f'[[web.listener]]\naddress = "127.0.0.1:1"\nusers = {{ a = "{HASH.replace("$10$", "$14$")}" }}',
            ["rscollector.toml:4: web.listener.0.users.a: each try takes 1 s of CPU (cost 14); 10 is enough"],
        ),
    ],
)
def test_an_open_door_is_a_hint(toml, hints, web):
    """It is right, and may not be what was meant."""
    loaded = web(f"[web]\n{toml}\n")
    assert loaded.mistakes == ()
    assert [each.replace(f"{web.directory}/", "") for each in loaded.hints] == hints


@pytest.fixture
def public(web):
    """The same in a directory that every user of the host may enter."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        directory = Path(made) / "all of us"
        shutil.copytree(web.directory, directory)
        for each in (made, directory):
            Path(each).chmod(0o755)
        for each in directory.iterdir():
            each.chmod(0o640)
        yield directory


READ = "has the hashes of users, and "


def read_by_all(place, path, file, what=""):
    """Return the hint that everybody can read that file."""
    name = f"'{place}/{file}'"
    return f"{place}/{path}: {what}every user of this host can read it: chgrp rscollector {name} && chmod 640 {name}"


def test_a_key_that_everybody_can_read_is_a_hint(public):
    """With the command that mends it, for a file of its own and for one that is in the web configuration."""
    (public / "rscollector.toml").write_text(f'[[web.listener]]\naddress = "127.0.0.1:1"\n{TLS} }}\n')
    assert load(public / "rscollector.toml").hints == ()
    (public / "server.key").chmod(0o644)
    told = read_by_all(public, "rscollector.toml:3: web.listener.0.tls.key", "server.key")
    assert load(public / "rscollector.toml").hints == (told,)
    closed = public / "closed"
    closed.mkdir(mode=0o750)
    (public / "server.key").rename(closed / "server.key")
    (public / "server.key").symlink_to("closed/server.key")
    assert load(public / "rscollector.toml").hints == (), "what a link leads to is behind a closed door"
    (closed / "server.key").replace(public / "server.key")
    (public / "rscollector.toml").write_text(
        '[web]\nconfig_file = "w.yml"\nlisten = ["127.0.0.1:1", "[::1]:1"]\n'
    )
    config = public / "w.yml"
    config.write_text("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n")
    told = read_by_all(public, "w.yml:3: tls_server_config.key_file", "server.key")
    assert load(public / "rscollector.toml").hints == (told,)
    text = (public / "server.key").read_text().replace("\n", "\n    ")
    config.write_text(f"tls_server_config:\n  cert_file: server.crt\n  key: |\n    {text}\n")
    told = read_by_all(public, "w.yml:3: tls_server_config.key", "w.yml")
    assert load(public / "rscollector.toml").hints == (told,)


def test_users_whom_everybody_can_read_are_a_hint(public):
    """Their hashes can be guessed at elsewhere; behind a directory that nobody enters they cannot be read."""
    (public / "rscollector.toml").write_text('[web]\nconfig_file = "w.yml"\nlisten = ["127.0.0.1:1"]\n')
    config = public / "w.yml"
    config.write_text(f"basic_auth_users: {{alice: {HASH}}}\n")
    told = read_by_all(public, "w.yml", "w.yml", READ)
    assert load(public / "rscollector.toml").hints == (told,)
    public.parent.chmod(0o750)
    assert load(public / "rscollector.toml").hints == ()
    public.parent.chmod(0o755)
    config.write_text("http_server_config: {http2: true}\n")
    assert load(public / "rscollector.toml").hints == ()


def test_users_in_the_configuration_whom_everybody_can_read_are_a_hint(public):
    """In whatever file they stand; one in which there are none, or others, may be read by all."""
    main, more = public / "rscollector.toml", public / "conf.d" / "web.toml"
    more.parent.mkdir(mode=0o755)
    main.write_text("[collector.agent.main]\nusers = { a = 1 }\n")
    for users, hints in (
        (
            f'{{ a = "{HASH}", b = "{HASH}" }}',
            (read_by_all(public, "conf.d/web.toml", "conf.d/web.toml", READ),),
        ),
        ("{}", ()),
    ):
        more.write_text(f'[[web.listener]]\naddress = "127.0.0.1:1"\nusers = {users}\n')
        for each in (main, more):
            each.chmod(0o644)
        assert load(main).hints == hints
        more.chmod(0o640)
        assert load(main).hints == ()


def test_the_same_files_are_read_again_and_nothing_else(web):
    """A certificate that was exchanged is taken; what was changed in the configuration meanwhile is not."""
    loaded = web(f'[[web.listener]]\naddress = ":1"\n{TLS} }}\n')
    for end in ("crt", "key"):
        (web.directory / f"new.{end}").replace(web.directory / f"server.{end}")
    (web.directory / "rscollector.toml").write_text("[web]\nlisten = []\n")
    assert {look(path) == was for path, was in loaded.config.seen.items()} == {False}
    config = again(loaded.config.web).config
    (listener,) = config.listeners
    assert listener.tls.certificate == (web.directory / "server.crt").read_text()
    assert listener.address == "0.0.0.0:1"
    assert {look(path) == was for path, was in config.seen.items()} == {True}


def test_what_is_broken_when_it_is_read_again_is_said_without_a_configuration(web):
    """A pair of which only the one half is new yet."""
    loaded = web(f'[[web.listener]]\naddress = ":1"\n{TLS} }}\n')
    (web.directory / "new.crt").replace(web.directory / "server.crt")
    found = again(loaded.config.web)
    assert found.config is None
    why = "it is not the key of the certificate, or of the first one in that file"
    assert found.mistakes == (f"web.listener.0.tls.key: {web.directory}/server.key: {why}",)


def test_a_pipe_in_the_place_of_a_certificate_holds_nobody_up(web):
    """It is no regular file."""
    import os

    os.mkfifo(web.directory / "pipe")
    loaded = web('[[web.listener]]\naddress = ":1"\ntls = { certificate = "pipe", key = "server.key" }\n')
    assert "cannot be read: it is no regular file" in loaded.mistakes[0]
