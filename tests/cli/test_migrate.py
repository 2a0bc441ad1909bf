"""`rscollector migrate`: configurations of rs-collector and of its successor, in ours."""

import stat
import tomllib

import pytest

OLD = """
Host = "https://user:p%40ss@bosun:8070"
Hostname = "muffin"
FullHost = false

[Tags]
  hostgroup = "dev"
  "data center" = "b"

[Galera]
  User = "root"
  Password = "geheim"
  Socket = "/var/lib/mysql.sock"
  Host = "localhost"

[HasIpAddr]
  Ipv4 = [ "192.168.205.7", "192.168.205.8" ]

[[Mongo]]
  Name = "replicaset 01"
  Host = "localhost"
  Port = 27017
  User = "monitor"
  Password = "auch geheim"
  UseSsl = true
  CaCert = "/etc/ssl/ca.pem"

[[Mongo]]
  Name = "b"
  Host = "localhost"
  Port = 27018

[Postfix]

[[Jvm]]
  Command = "elasticsearch"
  Name = "elasticsearch"

[Megaraid]
"""

NEW = """
[[emitter.bosun]]
host = "https://user:password@host:8070/"
[emitter.bosun.tags]
hostgroup = "db"
[[collector.postfix]]
[[collector.rscollector]]
[[collector.jvm]]
command = "tomcat"
[[collector.mongo]]
connection_string = "mongodb://me:s%2Fcret@db1:27018/?tls=true&tlsCAFile=/etc/ca.pem&authSource=users"
[[collector.galera]]
user = "a"
password = "b"
host = "db1"
port = 3307
use_ssl = true
ca_cert = "/etc/ca.pem"
[[collector.galera]]
user = "a"
socket = "/run/second.sock"
wsrep = true
"""


@pytest.fixture
def migrated(rscollector, tmp_path):
    """Return how to migrate a text: what was written, read as TOML, and how the command ended."""

    def run(text, check=True):
        source = tmp_path / "rs-collector.conf"
        source.write_text(text)
        done = rscollector("migrate", source, "--write", tmp_path / "etc")
        written = tmp_path / "etc" / "rscollector.toml"
        assert "Traceback" not in done.stderr
        if check:
            checked = rscollector("check", "--config", written)
            assert "rscollector.toml" not in checked.stderr, checked.stderr
        return tomllib.loads(written.read_text()), done

    return run


def secret(place):
    """Return the text in a secret's file, which only its owner may read."""
    from pathlib import Path

    path = Path(place["file"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path.read_text().rstrip("\n")


def test_rs_collectors_own_example(migrated):
    """Every section, with the same meaning, and the old names of metrics."""
    made, done = migrated(OLD)
    assert made["agent"] == {"host": "muffin", "tags": {"hostgroup": "dev", "data center": "b"}}
    sink = made["sink"]["bosun"]["main"]
    assert (sink["url"], sink["user"], sink["dialect"]) == ("https://bosun:8070", "user", "rs-collector")
    assert secret(sink["password"]) == "p@ss"
    galera = made["collector"]["galera"]["main"]
    assert (galera["user"], galera["socket"]) == ("root", "/var/lib/mysql.sock")
    assert secret(galera["password"]) == "geheim"
    assert made["collector"]["vip"]["main"]["addresses"] == ["192.168.205.7", "192.168.205.8"]
    first, second = (made["collector"]["mongodb"][name] for name in ("replicaset-01", "b"))
    assert (first["host"], first["port"], first["tls"], first["tls_ca"]) == (
        "localhost",
        27017,
        True,
        "/etc/ssl/ca.pem",
    )
    assert secret(first["password"]) == "auch geheim"
    assert second == {"host": "localhost", "port": 27018}
    assert made["collector"]["postfix"]["main"] == made["collector"]["agent"]["main"] == {}
    assert done.returncode == 1
    assert "not carried over: Jvm: garbage collection of Java processes is not collected yet" in done.stderr
    assert "not carried over: Megaraid: MegaRAID controllers are not watched yet" in done.stderr
    assert "geheim" not in done.stdout + done.stderr


def test_the_successors_format(migrated):
    """Lists of emitters and instances, connection strings."""
    made, done = migrated(NEW)
    assert made["agent"]["tags"] == {"hostgroup": "db"}
    assert made["sink"]["bosun"]["main"]["url"] == "https://host:8070"
    mongo = made["collector"]["mongodb"]["main"]
    assert (mongo["uri"], mongo["user"], mongo["auth_database"]) == ("mongodb://db1:27018/", "me", "users")
    assert (mongo["tls"], mongo["tls_ca"], secret(mongo["password"])) == (True, "/etc/ca.pem", "s/cret")
    galera = made["collector"]["galera"]
    assert (galera["main"]["port"], galera["main"]["tls_ca"]) == (3307, "/etc/ca.pem")
    assert galera["main1"] == {"socket": "/run/second.sock", "user": "a"}
    assert "collector.galera.wsrep: no such setting is known" in done.stderr
    assert "collector.jvm: garbage collection" in done.stderr


def test_what_is_not_sent_is_not_sent(migrated):
    """DontSend leaves the sink out; a plain host and port is HTTP."""
    made, done = migrated('Host = "bosun:8070"\nDontSend = true\n')
    assert "sink" not in made
    assert "DontSend is true" in done.stderr


def test_a_plain_host_is_http_and_all_is_carried_over(migrated):
    """Then the exit status is 0."""
    made, done = migrated('Host = "bosun:8070"\nHostname = "a"\n')
    assert made["sink"]["bosun"]["main"]["url"] == "http://bosun:8070"
    assert (done.returncode, done.stderr) == (0, "")


def test_it_is_printed_without_secrets_and_nothing_is_overwritten(rscollector, tmp_path):
    """Without --write a look is free; with it, what is there stays."""
    source = tmp_path / "rs-collector.conf"
    source.write_text('Host = "http://a:hunter2@bosun:8070"\n')
    done = rscollector("migrate", source)
    assert done.returncode == 0
    assert "hunter2" not in done.stdout
    assert tomllib.loads(done.stdout)["sink"]["bosun"]["main"]["password"] == {
        "file": "/etc/rscollector/secrets/bosun-main"
    }
    target = tmp_path / "etc"
    target.mkdir()
    (target / "rscollector.toml").write_text("# mine\n")
    done = rscollector("migrate", source, "--write", target)
    assert done.returncode == 1
    assert "is there already, and nothing is overwritten" in done.stderr
    assert (target / "rscollector.toml").read_text() == "# mine\n"
    assert not (target / "secrets").exists()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (None, "cannot be read: No such file"),
        ("Host = ", "is not TOML"),
        ("Mongo = [1]", "is no configuration of rs-collector"),
    ],
)
def test_what_cannot_be_read_gives_a_sentence_and_status_2(rscollector, tmp_path, text, wrong):
    """No traceback for a file that is none."""
    source = tmp_path / "rs-collector.conf"
    if text is not None:
        source.write_text(text)
    done = rscollector("migrate", source)
    assert (done.returncode, done.stdout) == (2, "")
    assert wrong in done.stderr
    assert "Traceback" not in done.stderr
