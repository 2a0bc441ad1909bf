"""`rscollector migrate`: configurations of rs-collector, of its successor, and of scollector, in ours."""

import os
import shutil
import stat
import subprocess
import sys
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scraping import ROOT

from rscollector.config.migrate import migrate

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
    """Return the text in a secret's file, which only its owner and its group may read."""
    from pathlib import Path

    path = Path(place["file"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    return path.read_text().rstrip("\n")


def test_rs_collectors_own_example(migrated):
    """Every section, with the same meaning, and the old names of metrics."""
    made, done = migrated(OLD)
    assert made["agent"] == {"host": "muffin", "tags": {"hostgroup": "dev", "data center": "b"}}
    assert "Mongo.Name: it is replicaset-01 now" in done.stderr
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


def test_a_file_that_an_editor_of_windows_wrote(migrated):
    """With a byte order mark and its ends of lines (telegraf#1378); an address in disguise is the plain one."""
    made, done = migrated(
        '\ufeffHost = "bosun:8070"\r\n[HasIpAddr]\r\nIpv4 = ["::ffff:192.0.2.1", "fe80::1%eth0"]\r\n'
    )
    assert made["collector"]["vip"]["main"]["addresses"] == ["192.0.2.1"]
    assert 'HasIpAddr.Ipv4: "fe80::1%eth0" is no IP address without a zone' in done.stderr


def test_the_successors_format(migrated):
    """Lists of emitters and instances, connection strings."""
    made, done = migrated(NEW)
    assert made["agent"]["tags"] == {"hostgroup": "db"}
    assert made["sink"]["bosun"]["main"]["url"] == "https://host:8070"
    mongo = made["collector"]["mongodb"]["main"]
    assert (mongo["uri"], mongo["user"], mongo["auth_database"]) == ("mongodb://db1:27018/", "me", "users")
    assert (mongo["tls"], mongo["tls_ca"], secret(mongo["password"])) == (True, "/etc/ca.pem", "s/cret")
    galera = made["collector"]["galera"]
    assert (galera["main"]["port"], galera["main"]["tls"], galera["main"]["tls_ca"]) == (
        3307,
        True,
        "/etc/ca.pem",
    )
    assert galera["main-2"] == {"socket": "/run/second.sock", "user": "a"}
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


def test_it_is_printed_without_secrets(rscollector, tmp_path):
    """Without --write a look is free."""
    source = tmp_path / "rs-collector.conf"
    source.write_text('Host = "http://a:hunter2@bosun:8070"\n')
    done = rscollector("migrate", source)
    assert done.returncode == 0
    assert "hunter2" not in done.stdout
    assert tomllib.loads(done.stdout)["sink"]["bosun"]["main"]["password"] == {
        "file": "/etc/rscollector/secrets/bosun-main"
    }


SCOLLECTOR = """
Host = "https://me:p%2Fw@bosun.example/"
Hostname = "DB1.example.com"
Freq = 30
BatchSize = 100
MaxQueueLen = 200000
AuthToken = "hush-token"
MetricPrefix = "prod"
DisableSelf = true
Filter = ["-vsphere", "*"]
MetricFilters = ['^(win\\.cpu|win\\.system\\..*)$', 'free']
ColDir = "/opt/scollector/collectors"
PProf = ""
HadoopHost = ""
[Tags]
  env = "prod"
[[Process]]
  Command = "mysqld"
[[HAProxy]]
  User = "hauser"
  Password = "hush-haproxy"
[[TagOverride]]
  CollectorExpr = 'cadvisor'
"""


def test_scollectors_format(migrated):
    """What has an equal is translated, the rest is named with what to do; what is empty means nothing."""
    made, done = migrated(SCOLLECTOR)
    assert made["agent"] == {"host": "db1", "interval": "30s", "tags": {"env": "prod"}}
    sink = made["sink"]["bosun"]["main"]
    assert secret(sink.pop("password")) == "p/w"
    assert secret(sink.pop("token")) == "hush-token"
    assert sink == {
        "url": "https://bosun.example", "user": "me", "batch": 100, "prefix": "prod.",
        "filter": {"exclude": ["rscollector.*", "agent.*", "sink.*"]},
    }  # fmt: skip
    named = {line.split(": ")[2] for line in done.stderr.splitlines()}
    assert named == {
        "ColDir", "Filter", "HAProxy", "MaxQueueLen", "MetricFilters", "Process", "TagOverride",
    }  # fmt: skip
    assert "hush" not in done.stdout + done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("text", "host", "is_named"),
    [
        ('Freq = 1\nHostname = "Web.example.com"\n', "web", False),
        ('Freq = 1\nHostname = "Web.example.com"\nFullHost = true\n', "web.example.com", False),
        ('Freq = 1\nHostname = "192.0.2.1"\n', "192.0.2.1", False),
        ("Freq = 1\nFullHost = true\n", None, False),
        ("Freq = 1\n", None, True),
    ],
)
def test_the_hosts_name_is_that_which_scollector_sent(text, host, is_named):
    """Small letters, and up to the first dot, if it was not told otherwise."""
    made = migrate(tomllib.loads(f'Host = "b"\n{text}'))
    assert made.agent.get("host") == host
    assert [each.where == "FullHost" for each in made.left_out] == [True] * is_named


def test_a_file_that_both_may_have_is_told_apart_by_its_name():
    """The old names of metrics are for those who had rs-collector."""
    table = {"Host": "b", "Hostname": "h"}
    sink = ("sink", "bosun")
    assert migrate(table, "rs-collector.conf").instances[sink]["main"]["dialect"] == "rs-collector"
    assert "dialect" not in migrate(table, "scollector.toml").instances[sink]["main"]


TLS = [
    ('[Galera]\nHost = "h"\nUseSsl = true', "galera", {"tls": True}, ""),
    ('[Galera]\nHost = "h"\nUseSsl = true\nCaCert = "/ca"', "galera", {"tls": True, "tls_ca": "/ca"}, ""),
    ("[Galera]\nUseSsl = true", "galera", {"tls": True, "host": "127.0.0.1"}, ""),
    ('[Galera]\nSocket = "/s"\nUseSsl = true', "galera", {}, "Galera.UseSsl: a socket is not encrypted"),
    ('[Galera]\nHost = "h"\nCaCert = "/ca"', "galera", {}, "Galera.CaCert: TLS was not used"),
    ('[Galera]\nHost = "h"\nUseSsl = "maybe"', "galera", {}, "Galera.UseSsl: expected true or false, found text"),
    ('[Galera]\nHost = "h"\nUseSsl = true\nClientCertKey = "/k"', "galera", {"tls": True}, "Galera.ClientCertKey: "),
    ('[[Mongo]]\nHost = "h"\nUseSsl = true\nClientCert = "/c"\nClientCertKey = "/k"', "mongodb",
     {"tls": True, "tls_certificate": "/c", "tls_key": "/k"}, ""),
    ('[[collector.galera]]\nhost = "h"\nuse_ssl = true', "galera", {"tls": True}, ""),
    ('[[collector.mongo]]\nconnection_string = "mongodb://h/?tls=TRUE"', "mongodb", {"tls": True}, ""),
    ('[[collector.mongo]]\nconnection_string = "mongodb://h/?ssl=true&tlsCAFile=/ca"', "mongodb",
     {"tls": True, "tls_ca": "/ca"}, ""),
    ('[[collector.mongo]]\nconnection_string = "mongodb://h/?tlsCAFile=/ca"', "mongodb", {}, "tls is not true"),
]  # fmt: skip


@pytest.mark.parametrize(("account", "database"), [("", None), ("me:p@", "users")])
def test_the_database_of_an_account_goes_with_the_account(account, database):
    """Without one it means nothing."""
    text = f'[[collector.mongo]]\nconnection_string = "mongodb://{account}h/?authSource=users"'
    (found,) = migrate(tomllib.loads(text)).instances["collector", "mongodb"].values()
    assert found.get("auth_database") == database


@pytest.mark.parametrize(("text", "type_", "settings", "said"), TLS)
def test_tls_is_carried_over_or_named(text, type_, settings, said):
    """Never less of it without a word; without a CA those of the system are trusted."""
    made = migrate(tomllib.loads(text))
    (found,) = made.instances["collector", type_].values()
    told = {key: value for key, value in found.items() if key.startswith("tls")}
    assert told == {key: value for key, value in settings.items() if key.startswith("tls")}
    assert found.items() >= settings.items()
    sentences = [str(each) for each in made.left_out if each.where != "Host"]
    assert len(sentences) == bool(said)
    assert said in "".join(sentences)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("bosun", "http://bosun"),
        ("bosun:8070", "http://bosun:8070"),
        ("bosun:8070/api/put", "http://bosun:8070"),
        ("https://bosun:8070/behind/", "https://bosun:8070/behind"),
        (":8070", "http://localhost:8070"),
        ("[::1]:8070", "http://[::1]:8070"),
        ("bosun/?x=1", "http://bosun"),
        ("::1:8070", None),
        ("ftp://bosun", None),
        ("bosun:99999", None),
        ("bo sun", None),
        ("http://", None),
        ("https://me:p#w@bosun:8070", None),
        ("https://me:1/2@bosun:8070", None),
        ("https://me:p?w@bosun:8070", None),
        ("http://bosun\n:8070", None),
    ],
)
def test_where_bosun_is_becomes_a_url_or_is_named(host, url):
    """Without a part of a password in it, whatever the password has."""
    made = migrate({"Host": host, "Postfix": {}})
    sink = made.instances.get(("sink", "bosun"), {}).get("main", {})
    assert sink.get("url") == url
    told = "".join(map(str, made.left_out))
    assert ("set url in [sink.bosun.main]" in told) == (url is None or "?" in host)
    assert "p#w" not in told
    assert "1/2" not in told


MORE = {
    "two of one name": '[[Mongo]]\nName = "a b"\nHost = "h"\n[[Mongo]]\nName = "a-b"\nHost = "i"\n',
    "a name with dots": '[[Mongo]]\nName = "a.b"\nHost = "h"\n',
    "a long name": f'[[Mongo]]\nName = "{"n" * 300}"\nHost = "h"\n',
    "a port in a host": '[Galera]\nHost = "[::1]:3307"\n',
    "no host": '[Galera]\nHost = "a/b"\n[[Mongo]]\nHost = "-"\nPort = 99999\n',
    "a user without password": '[[Mongo]]\nHost = "h"\nUser = "u"\n',
    "the host as a tag": 'Host = "b"\nHostname = "a"\n[Tags]\nhost = "c"\n',
    "control characters": 'Host = "b"\nHostname = "a\\u0007"\n[Tags]\na = "x\\u007f"\n"b\\n" = "y"\nc = "d"\n',
    "values of all types": 'Host = "b"\n[Tags]\na = 5\nb = 1.5\nc = true\nd = 2020-01-01\ne = [1]\nf = ""\n',
    "wrong types": 'Host = "b"\nTags = "x"\nGalera = 5\nHasIpAddr = ["192.0.2.1"]\n[[Mongo]]\nHost = 2020-01-01\n',
    "a line end in a key": 'Host = "b"\n"Foo\\nevil = 1" = 3\n',
    "a line end in a value": '[[Mongo]]\nHost = "h"\nUseSsl = true\nClientCertKey = "a\\nhost=\\"evil\\""\n',
    "addresses": '[HasIpAddr]\nIpv4 = ["192.0.2.1", "192.0.2.1", "999.1.1.1", "2001:DB8::1"]\n',
    "a seed list": '[[collector.mongo]]\nconnection_string = "mongodb://u:p%40@a:1,b:2/?replicaSet=rs&tls=true"\n',
    "no connection string": '[[collector.mongo]]\nconnection_string = "mongodb+srv://a.example"\n[[collector.postfix]]\n',
    "several sinks": '[[emitter.bosun]]\nhost="a"\n[emitter.bosun.tags]\nx="1"\n[[emitter.bosun]]\nhost="b"\n'
    '[emitter.bosun.tags]\nx="2"\n[emitter.influx]\n',
    "a table, not a list": '[collector.galera]\nhost = "h"\n[collector.unheard]\n',
    "scollector's empty values": 'Host = "b"\nFreq = 0\nBatchSize = 0\nMIBS = {}\nICMP = []\nUseNtlm = false\n',
    "scollector's odd values": 'Host = "b"\nFreq = -1\nMetricPrefix = "a b"\nAuthToken = "x\\n"\nFilter = ["c-vsphere"]\n',
    "passwords that no file can hold": 'Host = "http://u:p%0A@b"\n[Galera]\nHost = "h"\nPassword = "\\uFEFFx"\n',
}


@pytest.mark.parametrize(
    "text", [*MORE.values(), OLD, NEW, SCOLLECTOR], ids=[*MORE, "old", "new", "scollector"]
)
def test_what_is_written_passes_the_check(migrated, text):
    """Whatever was given; and `check` has nothing to say about it but drivers and files that are not here."""
    _, done = migrated(text)
    assert "as it would be" not in done.stderr


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Host", "Name", "Port", "User", "Password", "UseSsl", "CaCert", "Socket", "Ipv4", "Tags", "Freq",
                 "connection_string", "bosun", "mongo", "galera", "host", "AuthToken", "MetricPrefix"]
            ) | st.text(max_size=5), inner, max_size=4,
        ),
        max_leaves=10,
    ).flatmap(
        lambda value: st.dictionaries(
            st.sampled_from(["Host", "Hostname", "Galera", "Mongo", "HasIpAddr", "Postfix", "Tags", "emitter", "collector", "Freq"]),
            st.just(value) | st.text(), max_size=4,
        )
    )
)  # fmt: skip
def test_whatever_is_given_what_is_written_is_toml(table):
    """No exception, and each sentence is one line that does nothing to a terminal."""
    made = migrate(table)
    tomllib.loads(made.text)
    assert all(str(each).isprintable() for each in made.left_out)


def test_a_name_that_is_too_long_is_cut_and_named():
    """As long as the agent takes one."""
    made = migrate({"Galera": [{"Name": "a" * 300, "Host": "h"}]})
    assert list(made.instances["collector", "galera"]) == ["a" * 100]
    assert [each.where for each in made.left_out if each.where.startswith("Galera")] == ["Galera.Name"]


@pytest.mark.parametrize(
    ("host", "is_right"), [("h:0", False), ("h:1", True), ("h:65535", True), ("h:65536", False)]
)
def test_a_port_within_a_host_is_one_or_is_named(host, is_right):
    """What no server can listen on is not carried over."""
    made = migrate({"Host": "bosun", "Mongo": [{"Host": host}]})
    assert ("port" in made.instances["collector", "mongodb"]["main"]) == is_right
    assert [each.where for each in made.left_out] == ([] if is_right else ["Mongo.Host"])


@pytest.mark.parametrize(("ends", "is_kept"), [(199, True), (200, False)])
def test_a_password_has_as_many_lines_as_a_file_of_it_may_have(ends, is_kept):
    """The agent reads no more than 200 of them."""
    made = migrate({"Galera": [{"User": "u", "Password": "x\n" * ends + "x", "Host": "h"}]})
    assert bool(made.secrets) == is_kept


def test_of_two_sinks_the_tags_of_the_second_win_and_are_named():
    """All sinks send the same tags."""
    sinks = [{"host": "a", "tags": {"x": "1", "y": "1"}}, {"host": "b", "tags": {"x": "2"}}]
    made = migrate({"emitter": {"bosun": sinks}, "collector": {}})
    assert made.agent["tags"] == {"x": "2", "y": "1"}
    assert [each.where for each in made.left_out] == ["emitter.bosun.tags"]


@pytest.fixture
def packaged(tmp_path):
    """Return a directory as the package makes it."""
    directory = tmp_path / "rscollector"
    (directory / "conf.d").mkdir(parents=True)
    shutil.copy(ROOT / "debian" / "rscollector.toml", directory)
    return directory


@pytest.fixture
def source(tmp_path):
    """Return an old configuration."""
    file = tmp_path / "rs-collector.conf"
    file.write_text(OLD)
    return file


def test_on_a_host_with_the_package_it_is_added_and_passes_the_check(rscollector, packaged, source):
    """The new part is in conf.d; of the file that is there only an empty table goes, and that is shown."""
    before = (packaged / "rscollector.toml").read_text()
    done = rscollector("migrate", source, "--write", packaged)
    assert done.returncode == 1  # something is left out
    assert "-[collector.vip.main]\n+# [collector.vip.main] is in conf.d/migrated.toml\n" in done.stdout
    assert f"+++ {packaged}/conf.d/migrated.toml" in done.stdout
    assert "geheim" not in done.stdout + done.stderr
    after = (packaged / "rscollector.toml").read_text()
    assert after == before.replace(
        "\n[collector.vip.main]\n", "\n# [collector.vip.main] is in conf.d/migrated.toml\n"
    )
    checked = rscollector("check", "--config", packaged / "rscollector.toml")
    assert "OK" in checked.stdout
    assert "vip/main, mongodb/replicaset-01" in checked.stdout
    again = rscollector("migrate", source, "--write", packaged)
    assert "all of it is there already; nothing is to be done" in again.stdout


def test_a_dry_run_shows_the_same_and_writes_nothing(rscollector, packaged, source):
    """And the difference comes before anything is written."""
    before = {file: file.read_text() for file in packaged.rglob("*.toml")}
    shown = rscollector("migrate", source, "--write", packaged, "--dry-run")
    assert {file: file.read_text() for file in packaged.rglob("*") if file.is_file()} == before
    done = rscollector("migrate", source, "--write", packaged)
    assert done.stdout.startswith(shown.stdout)
    assert rscollector("migrate", source, "--dry-run").returncode == 2


def there(packaged, name, text):
    """Put a file beside, or into the place of one that is there."""
    (packaged / name).parent.mkdir(exist_ok=True)
    (packaged / name).write_text(text)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("conf.d/migrated.toml", "# mine\n", "conf.d/migrated.toml: is there already, with another content"),
        ("secrets/galera-main", "mine\n", "secrets/galera-main: is there already, with another content"),
        ("conf.d/a.toml", '[collector.galera.main]\nhost = "x"\n', "conf.d/a.toml:1: there is a [collector.galera.main]"),
        ("conf.d/a.toml", '[agent]\nhost = "x"\n', "conf.d/a.toml:2: agent.host is set already, to another value"),
        ("conf.d/a.toml", "[collector.vip.main]\n", "as it would be: "),
        ("conf.d/a.toml", "[[[", "as it would be: "),
    ],
)  # fmt: skip
def test_what_is_in_the_way_is_named_and_nothing_is_written(rscollector, packaged, source, name, text, said):
    """With its place, and with what to do."""
    there(packaged, name, text)
    before = {file: file.read_text() for file in packaged.rglob("*") if file.is_file()}
    done = rscollector("migrate", source, "--write", packaged)
    assert done.returncode == 1
    assert said in done.stderr
    assert "nothing is written" in done.stderr
    assert "Traceback" not in done.stderr
    assert {file: file.read_text() for file in packaged.rglob("*") if file.is_file()} == before


def test_what_is_there_already_with_the_same_meaning_is_not_added(rscollector, packaged, tmp_path):
    """The rest is."""
    file = tmp_path / "rs-collector.conf"
    file.write_text('Host = "b"\nHostname = "a"\n[Postfix]\n')
    there(packaged, "conf.d/a.toml", '[agent]\nhost = "a"\n[collector.postfix.main]\n')
    assert rscollector("migrate", file, "--write", packaged).returncode == 0
    added = tomllib.loads((packaged / "conf.d" / "migrated.toml").read_text())
    assert added == {"sink": {"bosun": {"main": {"url": "http://b", "dialect": "rs-collector"}}}}


@pytest.mark.needs("root", "unshare")
def test_files_are_roots_and_the_services_group_may_read_them(packaged, source, tmp_path):
    """As the Ansible role has them. A host with that group is made for it."""
    groups = tmp_path / "group"
    groups.write_text("root:x:0:\nrscollector:x:4711:\n")
    script = (
        f"mount --bind {groups} /etc/group && umask 077 && exec {sys.executable} -m rscollector.cli.main"
        f" migrate {source} --write {packaged}"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, cwd=ROOT, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "written" in done.stdout, done.stderr
    assert "group" not in done.stdout.partition("written")[2]
    made = [packaged / "conf.d" / "migrated.toml", *(packaged / "secrets").iterdir()]
    assert len(made) == 4
    for file in made:
        found = file.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (0, 4711, 0o640)
    found = (packaged / "secrets").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (0, 4711, 0o750)


def test_a_disk_that_takes_no_more_leaves_nothing_behind(rscollector, packaged, source):
    """What was written before is taken away again, and the reason is told."""
    (packaged / "conf.d").rmdir()
    (packaged / "conf.d").symlink_to("/proc/self/nowhere")
    done = rscollector("migrate", source, "--write", packaged)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert not list((packaged / "secrets").glob("*"))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (None, "cannot be read: No such file"),
        ("Host = ", "is not TOML"),
        ("Mongo = [1]", "is no configuration of rs-collector"),
        ("name = 1\n[project]\n", "is no configuration of rs-collector"),
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
