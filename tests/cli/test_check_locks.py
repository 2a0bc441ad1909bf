"""`check` and what listeners are locked with."""

import datetime as dt
import subprocess
import tempfile
from pathlib import Path

import pytest
import trustme
from cryptography.x509.oid import ExtendedKeyUsageOID
from locked import Link

from rscollector.cli.main import main

CA = trustme.CA()
HOLE = "answers everybody who reaches this host; lock it with web.config_file, or by a firewall"
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
CONFIG = """\
[collector.agent.main]
[[web.listener]]
address = "127.0.0.1:10070"
tls = { certificate = "server.crt", key = "server.key" }
"""


def checked(directory, capsys, toml=CONFIG):
    """Return the exit status and what is complained of."""
    (directory / "rscollector.toml").write_text(toml)
    status = main(["check", "--config", str(directory / "rscollector.toml")])
    return status, capsys.readouterr().err.replace(f"{directory}/", "").splitlines()


@pytest.mark.parametrize(
    ("validity", "said"),
    [
        ({}, []),
        ({"not_after": NOW + 20 * DAY}, []),
        (
            {"not_before": NOW - 76.5 * DAY, "not_after": NOW + 13.5 * DAY},
            ["127.0.0.1:10070: the certificate expires in 13 d 11 h"],
        ),
        ({"not_before": NOW - 0.7 * DAY, "not_after": NOW + 0.3 * DAY}, []),
        (
            {"not_before": NOW - 0.8 * DAY, "not_after": NOW + 0.2 * DAY},
            ["127.0.0.1:10070: the certificate expires in 4 h"],
        ),
        (
            {"not_before": NOW - 9 * DAY, "not_after": NOW - DAY},
            ["127.0.0.1:10070: the certificate has expired"],
        ),
        ({"not_before": NOW + DAY}, ["127.0.0.1:10070: the certificate is not valid before"]),
    ],
)
def test_a_certificate_that_is_over_soon_is_a_hint(validity, said, tmp_path, capsys):
    """The agent starts with it, and watches; whoever scrapes it will say more."""
    made = CA.issue_cert("localhost", **validity)
    made.private_key_pem.write_to_path(tmp_path / "server.key")
    made.cert_chain_pems[0].write_to_path(tmp_path / "server.crt")
    status, complaints = checked(tmp_path, capsys)
    assert (status, len(complaints)) == (0, len(said))
    assert all(wanted in found for wanted, found in zip(said, complaints, strict=True))


def test_what_else_is_over_soon_is_a_hint(tmp_path, capsys):
    """Clients refuse a chain of which a part has expired, and are refused when their CA has."""
    root, newer = Link("root", ends=9.2), Link("newer", ends=90)
    issuing = Link("issuing", root, ends=5.2)
    own = Link("localhost", issuing, ends=90, purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    for name, text in (("server.crt", own.pem + issuing.pem), ("server.key", own.key), ("ca.crt", root.pem)):
        (tmp_path / name).write_text(text)
    status, complaints = checked(tmp_path, capsys, CONFIG.replace('.key" }', '.key", client_ca = "ca.crt" }'))
    told = [
        "rscollector: 127.0.0.1:10070: a certificate between it and its CA expires in 5 d 4 h",
        "rscollector: 127.0.0.1:10070: the CA of clients expires in 9 d 4 h",
    ]
    assert (status, complaints) == (0, told)
    (tmp_path / "ca.crt").write_text(root.pem + newer.pem)
    _, complaints = checked(tmp_path, capsys, CONFIG.replace('.key" }', '.key", client_ca = "ca.crt" }'))
    assert complaints == told[:1], "there is another CA of clients"


@pytest.mark.needs("openssl")
def test_a_certificate_for_clients_only_is_a_mistake(tmp_path, capsys):
    """No client would take it; the agent would not start with it."""
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 9 -subj /CN=localhost"
    )
    files = ["-addext", "extendedKeyUsage=clientAuth", "-keyout", "server.key", "-out", "server.crt"]
    subprocess.run([*command.split(), *files], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    status, (complaint,) = checked(tmp_path, capsys)
    assert status == 2
    assert "no client could connect with this certificate: unsuitable certificate purpose" in complaint


def test_an_address_that_everybody_can_ask_is_a_hint(tmp_path, capsys):
    """It is right, and what the example says; its operator is told what it means."""
    status, (complaint,) = checked(tmp_path, capsys, '[web]\nlisten = ["0.0.0.0:10070"]\n')
    assert status == 0
    assert complaint == f"rscollector: rscollector.toml:2: web.listen: 0.0.0.0:10070 {HOLE}"


@pytest.mark.needs("root")
def test_root_is_told_what_the_services_user_would_find(monkeypatch, capsys):
    """What is the same for both is told once, and how a file is opened only where one is closed."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        directory = Path(made)
        directory.chmod(0o755)
        config, web = directory / "rscollector.toml", directory / "web.yml"
        config.write_text('[web]\nlisten = ["0.0.0.0:10070"]\nconfig_file = "web.yml"\n')
        web.write_text("http_server_config: {http2: true}\n")
        monkeypatch.setattr("rscollector.cli.check._USER", "nobody")
        for module in ("files", "load"):
            monkeypatch.setattr(f"rscollector.config.{module}.DEFAULT_FILE", config)

        def told(*options):
            status = main(["check", *options])
            return status, capsys.readouterr().err.replace(f"{directory}/", "").splitlines()

        hint = f"rscollector: rscollector.toml:2: web.listen: 0.0.0.0:10070 {HOLE}"
        assert told() == (0, [hint])
        web.chmod(0o600)
        closed = "rscollector: as user nobody: web.yml cannot be read: Permission denied"
        how = "rscollector: to let it read a file: chgrp rscollector FILE && chmod 640 FILE; it needs x above"
        assert told() == (2, [hint, closed, how])
        assert told("--only-mistakes") == (2, [hint, closed, how]), "the service would not start"
        monkeypatch.setattr("rscollector.config.forked.forked", lambda *_: {"nobody": ([], "hangs")})
        hangs = [hint, "rscollector: as user nobody: the check hangs"]
        assert (told(), told("--only-mistakes")) == ((2, hangs), (0, hangs))
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        assert told() == (0, [hint]), "only root can ask as somebody else"


def test_a_collector_that_cannot_work_now_is_no_mistake(tmp_path, capsys):
    """The agent starts without it; whoever asks for mistakes only, as a reload does, is told that all is right."""
    config = tmp_path / "rscollector.toml"
    sink = '[sink.bosun.main]\nurl = "http://127.0.0.1:1"\nuser = "x"\n'
    config.write_text(f'{sink}password = {{ file = "{tmp_path}/none" }}\n')
    assert [main(["check", "--config", str(config), *more]) for more in ([], ["--only-mistakes"])] == [2, 0]
    assert capsys.readouterr().err.count("none cannot be read: No such file or directory") == 2
