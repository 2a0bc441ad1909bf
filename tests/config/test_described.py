"""What people are shown of settings and alerts: where each is written, and no secret."""

import json
import os
import sys
from pathlib import Path

import accelerated
import pytest
from rogues import install
from yaml import safe_load

from collectors import vip
from rscollector.config.alerts import alerts
from rscollector.config.described import Setting, described
from rscollector.config.load import load
from rscollector.config.types import Common

PATH = ("collector", "it", "main")


def test_each_setting_says_in_which_line_it_is_written(tmp_path):
    """Its own table, that of all collectors, or nowhere: then the default holds."""
    file = tmp_path / "rscollector.toml"
    file.write_text(
        '[agent]\ninterval = "5s"\n[collector.vip.main]\naddresses = [\n  "192.0.2.1"]\nmax_series = 7\n'
    )
    rows = {name: (value, place) for name, value, place in load(file).config.settings["vip/main"]}
    assert rows["addresses"] == ('["192.0.2.1"]', f"{file}:4")
    assert rows["interval"] == ("5 s", f"{file}:2")
    assert rows["timeout"] == ("4 s", "")
    assert rows["max_series"] == ("7", f"{file}:6")
    assert rows["networks"] == ("[]", "")


def test_what_an_instance_may_have_by_its_type_is_told():
    """Of no setting the word is "None"."""
    spec = accelerated.spec("it/main", interval=60.0, timeout=10.0, max_series=3000)
    rows = {row.name: row.value for row in described(PATH, Common(), spec, {})}
    assert rows["interval"] == "1 min"
    assert rows["max_series"] == "3000"
    assert rows["timeout"] == "10 s"
    assert "None" not in rows.values()


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("password", "hunter22", "***"),
        ("password", {"file": "/etc/secret"}, '{"file": "/etc/secret"}'),
        ("password", {"env": "PASSWORD"}, '{"env": "PASSWORD"}'),
        ("password", {"credential": "db"}, '{"credential": "db"}'),
        ("api_key", ["hunter22"], '["***"]'),
        ("ApiKey", "hunter22", "***"),
        ("client_secret", "hunter22", "***"),
        ("credentials", "hunter22", "***"),
        ("private", "hunter22", "***"),
        ("tokens", {"db1": "hunter22", "db2": ["hunter23"]}, '{"db1": "***", "db2": ["***"]}'),
        ("url", "https://me:hunter22@db1/x", "https://***@db1/x"),
        ("url", "https://me:p@ss/word@db1/x", "https://***@db1/x"),
        ("url", "https://db1/x", "https://db1/x"),
        ("user", "me@db1", "me@db1"),
        ("city", "Köln", "Köln"),
        ("cities", ["Köln"], '["Köln"]'),
        ("uris", ["mongodb://hunter22@db1"], '["mongodb://***@db1"]'),
        ("url", "http://u:hunter/22@h/x", "http://***@h/x"),
        ("url", "http://u:hunter@22@h/x", "http://***@h/x"),
        ("url", "http://h:8080/x?mail=a@b", "http://h:8080/x?mail=a@b"),
        ("url", "http://h/x?authKey=hunter22&y=1", "http://h/x?authKey=***&y=1"),
        ("dsn", "host=db password=hunter22 user=x", "host=db password=*** user=x"),
        ("text", "Authorization: Bearer hunter22", "Authorization: ***"),
        ("headers", {"Cookie": "sid=hunter22", "Host": "h"}, '{"Cookie": "***", "Host": "h"}'),
        ("args", ["--password=hunter22", "--host", "h"], '["--password=***", "--host", "h"]'),
        ("args", ["mysql", "--password", "hunter22", "-v"], '["mysql", "--password", "***", "-v"]'),
        ("huge", "//a:" * (1 << 18), "//a:" * 124 + "//a…"),
        ("huge", "pass" * (1 << 18), "pass" * 124 + "pas…"),
        ("token\n\u202e", "hunter22", "***"),
        ("outer", {"token": "hunter22", "other": 1}, '{"token": "***", "other": 1}'),
        ("lines", "a\nb\x1b[31m", "a b"),
        ("number", 5, "5"),
        ("on", True, "true"),
    ],
)
def test_no_secret_is_shown(name, value, shown):
    """A place is, and a name that is like a secret's hides its text, also where that is in the midst of another.

    The key in an address is asked to be hidden in VictoriaMetrics/VictoriaMetrics#5825.
    """
    name_shown = name.replace("\n\u202e", " \ufffd")
    spec = accelerated.spec("it/main", settings={name: value})
    assert next(described(PATH, Common(), spec, {})) == Setting(name_shown, shown, "")


def test_a_file_with_a_strange_name_is_shown_all_the_same():
    """As the page's other texts are: one line, no control characters, and no byte that is no character."""
    places = {(*PATH, "x"): ("/etc/caf\udce9\u202e\n.toml", 3)}
    (row, *_) = described(PATH, Common(), accelerated.spec("it/main", settings={"x": 1}), places)
    assert row.place == "/etc/caf\ufffd\ufffd .toml:3"


def test_a_comment_that_moves_lines_is_no_change_of_a_collector(tmp_path):
    """Nobody is restarted for it."""
    file = tmp_path / "rscollector.toml"
    digests = []
    for before in ("", "# a comment\n\n"):
        file.write_text(before + "[collector.vip.main]\n")
        digests.append(load(file).config.specs[0].digest)
    assert len(set(digests)) == 1


def test_the_alerts_of_a_type_are_those_of_its_file(tmp_path):
    """By their names in Prometheus, as lines."""
    file = tmp_path / "rscollector.toml"
    file.write_text("[collector.vip.main]\n[sink.bosun.main]\nurl = 'http://127.0.0.1:1'\n")
    told = load(file).config.alerts
    rules = safe_load(Path(vip.__file__).with_name("alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
    assert [each["alert"] for each in told["vip"]] == [rule["alert"] for rule in rules]
    assert told["vip"][0]["severity"] == rules[0]["labels"]["severity"]
    assert told["vip"][0]["for"] == rules[0]["for"]
    assert told["vip"][0]["description"] == rules[0]["annotations"]["description"].strip()
    assert told["bosun"]
    assert json.dumps(told)


def test_a_plugin_without_such_a_file_has_no_alerts():
    """A single module, or a package that has none."""
    assert alerts("json") == alerts("json.decoder") == alerts("this") == []


_RULE = "groups: [{rules: [{alert: A, annotations: {summary: %s}}]}]"
_LAUGHS = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make a package: `package(text)` returns its module's name and the place of its alerts."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "strange_alerts").mkdir()
    (tmp_path / "strange_alerts" / "__init__.py").write_text("")
    yield tmp_path / "strange_alerts" / "alerts.yml"
    sys.modules.pop("strange_alerts", None)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_what_is_no_file_has_no_alerts(package, make):
    """Whoever reads it would wait, or read for ever, and all types' configuration with it."""
    make(package)
    assert alerts("strange_alerts.collector") == []


def test_a_file_that_is_too_long_has_no_alerts(package):
    """It is not read to its end."""
    package.write_text(_RULE % "x" + "#" * (1 << 20))
    assert alerts("strange_alerts.collector") == []


def test_what_becomes_huge_as_a_text_is_left_out(package):
    """An alias costs a few bytes, however large that is to which it leads."""
    package.write_text("a0: &a0 [x]\n" + _LAUGHS + _RULE % "*a11")
    assert alerts("strange_alerts.collector") == [
        {"alert": "A", "severity": "", "for": "", "summary": "", "description": ""}
    ]


@pytest.mark.parametrize(
    ("count", "text", "shown"), [(3000, "s", 101), (60, "s" * 2000, 50), (100, "s", 100)]
)
def test_there_are_no_more_than_the_agent_can_hold(package, count, text, shown):
    """That there are more is said."""
    package.write_text(
        f"groups: [{{rules: [{', '.join([f'{{alert: A, labels: {{severity: {text}}}}}'] * count)}]}}]"
    )
    told = alerts("strange_alerts.collector")
    assert (len(told), told[-1]["alert"]) == (shown, "A" if count == shown else "and more")


def test_of_alerts_so_many_are_told_each_cut(tmp_path, monkeypatch):
    """What a stranger's plugin brings is bounded, and what records is no alert."""
    rules = [{"record": "x", "expr": "y"}]
    rules += [
        {"alert": f"A{number}", "expr": "x", "annotations": {"summary": "s" * 5000}} for number in range(30)
    ]
    folder = tmp_path / "odd_alerts"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "alerts.yml").write_text(json.dumps({"groups": [{"name": "x", "rules": rules}]}))
    monkeypatch.syspath_prepend(tmp_path)
    found = alerts("odd_alerts.plugin")
    assert [each["alert"] for each in found] == [f"A{number}" for number in range(30)]
    assert {len(each["summary"]) for each in found} == {1000}
    assert found[0] | {"summary": ""} == {
        "alert": "A0",
        "severity": "",
        "for": "",
        "summary": "",
        "description": "",
    }


def test_alerts_that_cannot_be_read_cost_nothing_else(tmp_path, monkeypatch):
    """They are for people: the plugin works without them."""
    text = (
        "from rscollector.api import Collector\n\nclass Plugin(Collector):\n"
        "    metrics = ()\n    def collect(self, context):\n        return ()\n"
    )
    package = tmp_path / "odd_alerts_too"
    package.mkdir()
    (package / "alerts.yml").write_text("groups: [")
    install(
        tmp_path, package.name, {package.name: f"{package.name}:Plugin"}, {f"{package.name}/__init__": text}
    )
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "rscollector.toml"
    file.write_text("[collector.odd_alerts_too.main]\n")
    read = load(file)
    assert read.config.alerts == {"odd_alerts_too": []}
    assert not read.problems
