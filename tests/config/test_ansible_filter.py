"""What the Ansible role writes out of its variables, and out of those of the role for rs-collector."""

import ast
import datetime as dt
import importlib.util
import json
import tomllib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scraping import ROOT

from rscollector.cli.main import main

ROLE = ROOT / "ansible" / "roles" / "rscollector"
KINDS = yaml.safe_load((ROLE / "vars" / "main" / "kinds.yml").read_text())["__rscollector_kinds"]
DIRECTORY = "/etc/rscollector/secrets"


def _filters():
    place = ROOT / "ansible" / "plugins" / "filter" / "rscollector.py"
    specification = importlib.util.spec_from_file_location("ansible_filter", place)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


FILTERS = _filters()


def made(**tables):
    """Return the configuration that is written, as the agent would read it, and the secrets."""
    found = FILTERS.configuration(tables, KINDS, DIRECTORY)
    return tomllib.loads(found["text"]), found["secrets"]


def galera(**settings):
    """Return the settings of one Galera node as they are written."""
    return made(collector={"galera": [{"name": "main", **settings}]})[0]["collector"]["galera"]["main"]


@given(st.dictionaries(st.text(), st.text()), st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]*", fullmatch=True))
def test_every_text_comes_back_as_it_was(tags, name):
    """Whatever Unicode, quotes and newlines are in it; also where a name has dots."""
    config, _ = made(agent={"tags": tags}, collector={"galera": [{"name": name, "user": name}]})
    assert config["agent"]["tags"] == tags
    assert config["collector"]["galera"] == {name: {"user": name}}


def test_a_secret_goes_to_a_file_or_is_where_it_is_said_to_be():
    """Text to a file of its own; a place as it stands; anything else is a mistake; nothing is nothing."""
    config, secrets = made(collector={"galera": [{"name": "a.b", "password": "hush"}]})
    assert config["collector"]["galera"]["a.b"] == {
        "password": {"file": f"{DIRECTORY}/collector.galera.a.b.password"}
    }
    assert secrets == {"collector.galera.a.b.password": "hush"}
    assert galera(password={"credential": "galera"}) == {"password": {"credential": "galera"}}
    assert galera(password="") == galera(password=None) == {}
    for wrong in (["hush"], {"path": "/x"}, {"file": "/x", "env": "Y"}):
        with pytest.raises(ValueError, match=r"collector\.galera\.main\.password: expected text, found a"):
            galera(password=wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"password": True}, r"password: expected text \(in quotes\), found true or false"),
        ({"password": 1.5}, r"password: expected text \(in quotes\), found a number"),
        ({"user": [1]}, "user: expected text, found a list"),
        ({"user": dt.date(2020, 1, 1)}, "user: expected text, found a date or a time"),
        ({"port": "many"}, "port: expected a whole number, found text"),
        ({"port": 1.5}, "port: expected a whole number, found a number"),
        ({"port": True}, "port: expected a whole number, found true or false"),
        ({"tls": "perhaps"}, "tls: expected true or false, found text"),
        ({"members": {"a": 1}}, "members: expected a list, found a table"),
        ({"members": [None]}, "members: expected text, found nothing"),
        ({"new": [None]}, "new: expected text, found nothing"),
    ],
)
def test_a_value_of_another_type_is_told_in_words(wrong, said):
    """With its place, and without the value, which may be a secret; nothing is guessed."""
    with pytest.raises(ValueError, match=rf"^collector\.galera\.main\.{said}$"):
        galera(**wrong)


@pytest.mark.parametrize(
    ("instances", "said"),
    [
        ([{"host": "h"}], "an instance has no name: give each its `name`"),
        ([{"name": None}], "an instance has no name: give each its `name`"),
        ({"main": {}}, "expected a list of instances, found a table"),
        (["main"], "expected a table for each instance, found text"),
    ],
)
def test_what_is_no_list_of_named_instances_is_told_in_words(instances, said):
    """Not as an exception of Python's."""
    with pytest.raises(ValueError, match=rf"^collector\.galera: {said}$"):
        made(collector={"galera": instances})


def test_the_collection_needs_no_python_that_its_controllers_have_not():
    """Ansible 2.15 runs with 3.9; and the files that are shared are ours, and import nothing else of ours."""
    own = ROOT / "rscollector" / "config" / "migrate"
    shared = sorted((ROOT / "ansible" / "plugins" / "module_utils" / "migrate").glob("*.py"))
    assert [each.resolve() for each in shared] == sorted(own.glob("*.py"))
    for file in (*shared, ROOT / "ansible" / "plugins" / "filter" / "rscollector.py"):
        tree = ast.parse(file.read_text(), feature_version=(3, 9))
        froms = [each for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)]
        assert not [
            each.module for each in froms if each.level > 1 or (each.module or "").startswith("rscollector")
        ]


def test_what_ansible_takes_for_a_type_is_written_as_that_type():
    """A number that a template has made text of, a list in a string, a tag that is a number."""
    assert galera(port="3307", members="a,b") == {"port": 3307, "members": ["a", "b"]}
    config, _ = made(agent={"tags": {"rack": 12, "spare": True, "none": None}}, web={"listen": "a:1,b:2"})
    assert config == {"agent": {"tags": {"rack": "12", "spare": "true"}}, "web": {"listen": ["a:1", "b:2"]}}


def test_a_web_configuration_is_a_file_of_its_own():
    """It holds a key: the configuration names it, and it is what the agent reads, whatever is in its texts."""
    web = {
        "tls_server_config": {"cert": "a\nb: c\n", "key": 'quoted " and ü'},
        "basic_auth_users": {"yes": "$2y$"},
    }
    config, secrets = made(web={"config_file": web})
    assert config == {"web": {"config_file": "/etc/rscollector/secrets/web-config.yml"}}
    assert yaml.load(secrets["web-config.yml"], Loader=yaml.BaseLoader) == web
    assert made(web={"config_file": "/etc/own.yml"})[0] == {"web": {"config_file": "/etc/own.yml"}}
    config, _ = made(sink={"bosun": [{"name": "m", "proxy": "no", "drain": {"points": 5}}]})
    assert config["sink"]["bosun"]["m"] == {"proxy": False, "drain": {"points": 5}}


@pytest.mark.parametrize("names", [["a/b"], ["..", "x"], [""], ["a", "a"], [7, "7"]])
def test_a_name_that_the_agent_would_refuse_is_refused(names):
    """Before it becomes the name of a file."""
    with pytest.raises(ValueError, match=r"collector\.galera: the name "):
        made(collector={"galera": [{"name": name} for name in names]})


def test_what_is_added_cannot_slip_into_the_section_before():
    """TOML of others begins with a section; comments may come first."""
    config, _ = made(collector={"vip": [{"name": "m"}]}, extra="# mine\n\n[collector.other.x]\na = 1\n")
    assert config["collector"] == {"vip": {"m": {}}, "other": {"x": {"a": 1}}}
    with pytest.raises(ValueError, match=r"expected a \[section\] before .interval"):
        made(collector={"vip": [{"name": "m"}]}, extra="interval = '5s'")


def test_every_kind_of_setting_is_known_to_the_filter():
    """What docs/generate.py writes and what the filter reads are the same words."""
    words = {kind for settings in KINDS.values() for kind in settings.values()}
    assert words <= {"text", "integer", "boolean", "list", "map", "secret"}


def old(**variables):
    """Return what is made of the variables of the role for rs-collector."""
    return FILTERS.from_rs_collector(variables)


def test_encryption_is_carried_over():
    """For MongoDB and Galera; over a socket there is none."""
    tls = {"use_ssl": "true", "ca_cert": "/ca", "client_cert": "/crt", "client_cert_key": "/key"}
    found = old(mongo=[{"name": "rs0", "host": "h", "port": "27017", **tls}])
    assert found["rscollector_collector_mongodb"] == [
        {
            "name": "rs0", "host": "h", "port": 27017,
            "tls": True, "tls_ca": "/ca", "tls_certificate": "/crt", "tls_key": "/key",
        }
    ]  # fmt: skip
    assert found["not_carried_over"] == []
    found = old(galera=[{"host": "h", **tls}, {"socket": "/s", "host": "h", "user": "u", "use_ssl": "false"}])
    assert found["rscollector_collector_galera"] == [
        {
            "name": "main", "host": "h",
            "tls": True, "tls_ca": "/ca", "tls_certificate": "/crt", "tls_key": "/key",
        },
        {"name": "main-2", "socket": "/s", "user": "u"},
    ]  # fmt: skip
    assert found["not_carried_over"] == ["galera.main-2.host"]
    found = old(galera=[{"host": "h", "use_ssl": True}])
    assert found["rscollector_collector_galera"] == [{"name": "main", "host": "h", "tls": True}]
    assert found["not_carried_over"] == []
    found = old(galera=[{"host": "h", "ca_cert": "/ca"}], server={"ip": "h"}, use_ssl=True)
    assert found["not_carried_over"] == ["galera.main.ca_cert"]
    assert "for TLS set tls_ca, and tls = true" in found["explained"][0]
    assert found["rscollector_sink_bosun"][0]["url"] == "https://h:8070"
    found = old(server={"ip": "h", "protocol": "http"}, use_ssl=True)
    assert found["explained"] == [
        "use_ssl: the protocol is http, so nothing is encrypted: set url to https://…"
    ]


def test_what_is_unknown_is_named():
    """Also within a section."""
    found = old(
        oom_score=-10, common={"tags": {"a": 1}, "x": 1}, server={"ip": "h", "y": 1}, jvm=[1], postfix=[]
    )
    assert found["not_carried_over"] == ["common.x", "jvm", "oom_score", "server.y"]
    assert found["rscollector_agent"] == {"tags": {"a": "1"}}
    assert found["rscollector_collector_postfix"] == [{"name": "main"}]
    assert old(postfix=False)["rscollector_collector_postfix"] == []


@pytest.mark.parametrize("given", [{"auth": {"user": "u", "password": "p"}}, {"ca_cert": "/ca"}])
def test_an_account_of_a_bosun_that_is_nowhere_is_named(given):
    """A password that leads nowhere is not lost without a word."""
    assert old(**given)["not_carried_over"] == ["server.ip"]
    assert old()["not_carried_over"] == []


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ({"ip": "192.0.2.1", "port": None}, "http://192.0.2.1:8070"),
        ({"ip": "2001:db8::1", "port": 80, "protocol": "https"}, "https://[2001:db8::1]:80"),
    ],
)
def test_where_bosun_is_becomes_an_address(server, url):
    """With the port of Bosun by default."""
    (sink,) = old(server=server, auth={"user": "u", "password": "p"}, ca_cert="/ca")["rscollector_sink_bosun"]
    assert sink == {
        "name": "main", "dialect": "rs-collector", "url": url, "user": "u", "password": "p", "tls_ca": "/ca"
    }  # fmt: skip


def test_what_is_made_of_old_variables_is_taken_by_the_agent(tmp_path):
    """By its own check, all of it."""
    found = old(
        hostname="db1",
        domain="example",
        server={"ip": "192.0.2.1"},
        galera=[{"user": "x", "password": "p", "socket": "/run/s"}, {"host": "h", "port": 1, "user": "x"}],
        mongo=[{"host": "h", "use_ssl": True}],
        hasipaddr={"ipv4": ["192.0.2.10"]},
        postfix=[],
    )
    sections = {"collector": {}, "sink": {}}
    for variable, value in found.items():
        for section, into in sections.items():
            if variable.startswith(f"rscollector_{section}_"):
                into[variable.removeprefix(f"rscollector_{section}_")] = json.loads(json.dumps(value))
    written = FILTERS.configuration({"agent": found["rscollector_agent"], **sections}, KINDS, str(tmp_path))
    for name, secret in written["secrets"].items():
        (tmp_path / name).write_text(secret)
    (tmp_path / "rscollector.toml").write_text(written["text"])
    assert main(["check", "--config", str(tmp_path / "rscollector.toml")]) == 0
