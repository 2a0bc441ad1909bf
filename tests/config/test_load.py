"""Configuration files: what is right, what is a mistake, and what is one collector's problem."""

import json
import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rogues import install

from rscollector.config import digests
from rscollector.config.build import Unresolved
from rscollector.config.environment import listed
from rscollector.config.load import load
from rscollector.config.plan import plan
from rscollector.config.secrets import content, read
from rscollector.config.types import ClientAuth, Config, Feed, Listener, Spec, Tls
from rscollector.model.lifecycle import Policy, Revive

PLUGINS = Path(__file__).parent.parent / "plugins"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Write files and load them: `files(main, name=text)`; names other than the first are in conf.d."""
    monkeypatch.syspath_prepend(PLUGINS)

    def write(main, **others):
        path = tmp_path / "rscollector.toml"
        path.write_bytes(main if isinstance(main, bytes) else main.encode())
        (tmp_path / "conf.d").mkdir(exist_ok=True)
        for name, text in others.items():
            (tmp_path / "conf.d" / f"{name}.toml").write_text(text)
        loaded = load(path)
        return loaded, [each.replace(f"{tmp_path}/", "") for each in (*loaded.mistakes, *loaded.problems)]

    return write


def test_without_a_file_the_agent_watches_itself_and_this_host():
    """The built-in configuration is right, and names no file."""
    if Path("/etc/rscollector/rscollector.toml").exists():
        pytest.skip("this host has a configuration of its own")
    config = load(None).config
    assert [spec.key for spec in config.specs] == ["agent/main", "vip/main"]
    assert (config.listeners, config.files) == ((Listener("127.0.0.1:10070"),), ())


def test_defaults_come_from_agent_and_are_changed_by_the_collector(files):
    """[agent] sets the interval for all; a collector sets its own; the timeout follows the interval."""
    loaded, _ = files(
        '[agent]\ninterval = "5s"\nmax_hangs = 7\nhost = "h"\ntags = { a = "b" }\n'
        '[collector.vip.a]\n[collector.vip.b]\ninterval = "1m"\nrevive = "never"\n'
    )
    a, b = loaded.config.specs
    assert (loaded.config.host, loaded.config.tags) == ("h", {"a": "b"})
    assert (a.interval, a.timeout, a.policy.max_hangs, a.policy.revive) == (5, 4, 7, Revive.PROBATION)
    assert (b.interval, b.timeout, b.policy.max_hangs, b.policy.revive) == (60, 10, 7, Revive.NEVER)


def test_the_host_is_no_tag(files):
    """It would be another name than that which is told, or none: it is said where the name belongs."""
    loaded, _ = files('[agent]\nhost = "db1"\ntags = { host = "other" }\n')
    assert loaded.config is None
    (mistake,) = loaded.mistakes
    assert mistake.endswith(
        "agent: tags: the tag host is what `host` says: set that, and take it out of tags"
    )


def test_local_collectors_share_a_worker_and_others_have_their_own(files):
    """The mapping from an instance to its worker is the collector's kind."""
    loaded, _ = files(
        "[collector.agent.a]\n[collector.tame.b]\n[collector.rogue.c]\n[collector.vip.d]\n[collector.vip.e]\naddresses = ['192.0.2.1']\n"
    )
    assert [spec.worker for spec in loaded.config.specs] == ["local", "local", "rogue/c", "local", "vip/e"]


def test_with_isolation_shared_all_collectors_share_one_worker(files):
    """A small host has one worker, whatever the collectors ask."""
    text = '[agent]\nisolation = "shared"\n[collector.vip.a]\n[collector.rogue.b]\n[collector.rogue.c]\n'
    loaded, _ = files(text)
    assert {spec.worker for spec in loaded.config.specs} == {"shared"}


def test_a_type_declares_how_often_it_is_asked_and_a_configuration_may_say_another_time(files):
    """The timeout follows from what holds, and so does the hint about one that is longer."""
    instances = '[collector.vip.a]\n[collector.wide.b]\n[collector.wide.c]\ninterval = "5s"\n'
    for agent, expected in (
        ("", [(15, 10), (60, 10), (5, 4)]),
        ("[agent]\ninterval = '10s'\n", [(10, 8), (10, 8), (5, 4)]),
    ):
        loaded, said = files(agent + instances)
        assert (said, [(each.interval, each.timeout) for each in loaded.config.specs]) == ([], expected)
    loaded, said = files("[agent]\ntimeout = '30s'\n[collector.wide.b]\n")
    assert (said, loaded.config.specs[0].timeout) == ([], 30)


def test_a_type_declares_how_many_series_it_may_have_and_a_configuration_may_say_another_number(files):
    """What is set for an instance goes before what is set for all, and that before what the type declares."""
    instances = "[collector.vip.a]\n[collector.wide.b]\n[collector.wide.c]\nmax_series = 7\n"
    for agent, expected in (("", [2000, 5000, 7]), ("[agent]\nmax_series = 9\n", [9, 9, 7])):
        loaded, said = files(agent + instances)
        assert (said, [spec.max_series for spec in loaded.config.specs]) == ([], expected)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[colector.vip.a]", 'rscollector.toml:1: colector: unknown key; did you mean "collector"?'),
        ("[agent]\ninterval = '1ms'", "rscollector.toml:1: agent: interval is at least 100ms"),
        ("[agent]\ntimeout = '0s'", "rscollector.toml:1: agent: timeout is more than 0s"),
        ("[agent]\nmax_series = 0", "rscollector.toml:1: agent: max_series is more than 0"),
        ("agent = 5", "rscollector.toml:1: agent: expected a table, not 5"),
        ("collector = 5", "rscollector.toml:1: collector: expected a table such as [collector.main], not 5"),
        (
            "[collector]\nvip = 5",
            "rscollector.toml:2: collector.vip: expected a table such as [collector.vip.main], not 5",
        ),
        (
            "[collector.vip]\nmain = 5",
            "rscollector.toml:2: collector.vip.main: expected a table such as [collector.vip.main], not 5",
        ),
        (
            '[collector.galera]\nhost = "db1"',
            'rscollector.toml:2: collector.galera.host: expected a table such as [collector.galera.main], not "db1"',
        ),
        (
            "[collector.vip.'a b']",
            "rscollector.toml:1: collector.vip.a b: a name has letters, digits and _ . - after a letter or digit",
        ),
        (
            "[collector.vip.a]\n[collector.vip.a]",
            "rscollector.toml: is not TOML: Cannot declare ('collector', 'vip', 'a') twice (at line 2, column 17)",
        ),
        (
            "[agent\n",
            "rscollector.toml: is not TOML: Expected ']' at the end of a table declaration (at line 1, column 7)",
        ),
        (b"a = '\xff'", "rscollector.toml: is not UTF-8: byte 5 is 0xff"),
        ("[agent]\ntimeout = '400000d'", "rscollector.toml:1: agent: timeout is at most 1000000000"),
        ("[agent]\nmax_series = 10000000000", "rscollector.toml:1: agent: max_series is at most 1000000000"),
        (
            b"\xef\xbb\xbfa = 1",
            "rscollector.toml: begins with a byte order mark: save it as UTF-8 without one",
        ),
        (
            "[collector.vip.a]\naddresses = ['192.0.2.1', '::1', '192.0.2.1', '0::1']",
            "rscollector.toml:1: collector.vip.a: addresses: 192.0.2.1, ::1 more than once",
        ),
        ("[web]\nlisten = [':1', '0.0.0.0:1']", "rscollector.toml:1: web: listen: 0.0.0.0:1 is there twice"),
        (
            "[web]\nlisten = ['127.0.0.1:1', ':1']",
            "rscollector.toml:1: web: listen: 0.0.0.0:1 includes 127.0.0.1:1; keep one of them",
        ),
        (
            "[web]\nlisten = ['[::1]:1', '[::]:1']",
            "rscollector.toml:1: web: listen: [::]:1 includes [::1]:1; keep one of them",
        ),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place(files, text, sentence):
    """File, line, path, and what was expected."""
    loaded, said = files(text)
    assert (loaded.config, said) == (None, [sentence])


def test_addresses_beside_each_other_are_no_mistake(files):
    """Other ports, other addresses, and ports that the kernel chooses."""
    listens = (
        "':1', ':2', '127.0.0.1:0', '127.0.0.1:0', ':0', '[::1]:1', '127.0.0.1:3', '127.0.0.2:3', '[::1]:3'"
    )
    assert files(f"[web]\nlisten = [{listens}]\n")[1] == []


def test_a_timeout_beyond_the_interval_is_a_hint(files):
    """It is allowed, and may not be what was meant."""
    loaded, said = files("[agent]\ntimeout = '1m'\n[collector.vip.a]\n[collector.vip.b]\ninterval = '1m'\n")
    assert said == []
    longer = (
        "timeout = 1 min is longer than interval = 15 s: ticks are skipped while a collect takes that long"
    )
    assert [each.rpartition("/")[2] for each in loaded.hints] == [
        f"rscollector.toml:3: collector.vip.a: {longer}"
    ]


def test_a_pipe_in_conf_d_is_a_mistake_and_not_waited_for(files, tmp_path):
    """Whoever has left it there."""
    (tmp_path / "conf.d").mkdir()
    os.mkfifo(tmp_path / "conf.d" / "a.toml")
    assert files("[collector.vip.a]\n")[1] == ["conf.d/a.toml: is no regular file"]


def test_seven_mistakes_are_seven_sentences(files):
    """All mistakes are named at once, each with file, line, path and what was expected, from the first line on."""
    loaded, said = files(
        """\
[agent]
intervall = "15s"
[web]
listen = "127.0.0.1:10070"
[colector.vip.main]
[collector.vip.main]
timeout = 5
revive = "sometimes"
addresses = [
  "192.0.2.10",
  "192.0.2.300",
]
[collector.vop.main]
"""
    )
    assert loaded.config is None
    assert said == [
        'rscollector.toml:2: agent.intervall: unknown key; did you mean "interval"?',
        'rscollector.toml:4: web.listen: expected a list [ … ], not "127.0.0.1:10070"',
        'rscollector.toml:5: colector: unknown key; did you mean "collector"?',
        (
            "rscollector.toml:7: collector.vip.main.timeout: "
            'expected a duration such as "15s", "250ms" or "1h30m", not 5'
        ),
        'rscollector.toml:8: collector.vip.main.revive: expected "probation" or "never", not "sometimes"',
        (
            "rscollector.toml:9: collector.vip.main.addresses.1: "
            'expected an IP address such as "192.0.2.10" or "2001:db8::10", not "192.0.2.300"'
        ),
        'rscollector.toml:13: collector.vop: no such collector is installed; did you mean "vip"?',
    ]


def test_a_file_that_was_asked_for_and_is_not_there_is_a_mistake(tmp_path):
    """The built-in configuration does not stand in for a file that somebody named."""
    loaded = load(tmp_path / "absent.toml")
    assert loaded.config is None
    assert loaded.mistakes == (f"{tmp_path}/absent.toml: cannot be read: No such file or directory",)


def test_a_file_may_be_called_anything(tmp_path, monkeypatch):
    """Mistakes stand in the order of files and lines; what stands there in a name may be no number of a line."""
    monkeypatch.chdir(tmp_path)
    Path("a:²:.toml").write_text("[collector.vip.x]\naddresses = 5\n")
    (mistake,) = load(Path("a:²:.toml")).mistakes
    assert mistake.startswith("a:²:.toml:2: collector.vip.x.addresses: expected a list")


def test_files_in_conf_d_are_one_configuration_with_the_main_file(files):
    """Tables may be spread over files, read in the order of their names."""
    loaded, said = files(
        "[agent]\ninterval = '5s'\n", b="[collector.vip.b]\n", a="[agent]\nhost = 'h'\n[collector.vip.a]\n"
    )
    assert said == []
    assert [spec.name for spec in loaded.config.specs] == ["a", "b"]
    assert (loaded.config.host, loaded.config.specs[0].interval) == ("h", 5)
    assert [Path(file).name for file in loaded.config.files] == ["rscollector.toml", "a.toml", "b.toml"]


def test_what_is_set_twice_is_named_with_both_places(files):
    """A key in two files, and an instance in two files, are mistakes."""
    loaded, said = files(
        "[agent]\ninterval = '5s'\n[collector.vip.x]\n",
        a="\n[agent]\ninterval = '6s'\n[collector.vip.x]\nmax_series = 5\n",
    )
    assert loaded.config is None
    assert said == [
        "conf.d/a.toml:3: agent.interval: is set already, at " + str(Path(said[0].split(" at ")[1])),
        "conf.d/a.toml:4: collector.vip.x: is set already, at " + str(Path(said[1].split(" at ")[1])),
    ]
    assert said[0].endswith("rscollector.toml:2")
    assert said[1].endswith("rscollector.toml:3")


def test_an_instance_in_two_files_of_conf_d_is_named_with_both(files):
    """The file that is read first has it, and the other one is told so, even if both say the same."""
    loaded, said = files("", a="# a\n\n[collector.vip.x]\n", b="[collector.vip.y]\n[collector.vip.x]\n")
    assert loaded.config is None
    assert said == ["conf.d/b.toml:2: collector.vip.x: is set already, at conf.d/a.toml:3"]


def test_only_toml_files_of_conf_d_are_read(files, tmp_path):
    """What a package manager or an editor leaves beside them is not configuration."""
    (tmp_path / "conf.d").mkdir()
    for name in ("a.toml.dpkg-old", "b.toml~", "README"):
        (tmp_path / "conf.d" / name).write_text("[broken")
    assert files("[collector.vip.x]\n")[1] == []


def test_mistakes_of_all_files_are_named(files):
    """A file that is not TOML does not hide the mistakes of the others."""
    _, said = files("[agent]\ninterval = 5\n", a="[broken", b="[web]\nport = 1\n")
    assert [each.partition(":")[0] for each in said] == ["conf.d/a.toml", "conf.d/b.toml", "rscollector.toml"]


@pytest.mark.needs("root")
def test_a_file_that_may_not_be_read_is_named(files, tmp_path):
    """A directory in the place of a file stands for whatever the kernel refuses."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "x.toml").mkdir()
    _, said = files("")
    assert said == ["conf.d/x.toml: cannot be read: Is a directory"]


def secret(place):
    """Return a configuration with a secret in this place."""
    return f"[collector.rogue.a]\npassword = {{ {place} }}\n[collector.vip.b]\n"


def text_of(spec):
    """Return the text of a spec's secret, as its worker reads it."""
    return read(spec.settings["password"], spec.variables).reveal()


def test_secrets_come_from_files_environment_and_credentials(files, tmp_path, monkeypatch):
    """The configuration has the place; the text that is read there has no newline, which editors and echo add."""
    (tmp_path / "hidden").write_text("from a file\n")
    monkeypatch.setenv("HIDDEN", "from the environment\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for place, text in (
        (f'file = "{tmp_path}/hidden"', "from a file"),
        ('env = "HIDDEN"', "from the environment"),
        ('credential = "hidden"', "from a file"),
    ):
        loaded, said = files(secret(place))
        assert said == []
        assert text_of(loaded.config.specs[0]) == text
        assert text not in repr(loaded)
        assert "from a file" not in loaded.config.to_json()


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ('file = "/no/such"', "the secret in /no/such cannot be read: No such file or directory"),
        ('env = "NO_SUCH"', "the environment variable NO_SUCH is not set"),
        ('env = "EMPTY"', "the environment variable EMPTY is empty"),
        ('credential = "x"', "the credential 'x' is not there: systemd has passed none"),
    ],
)
def test_a_secret_that_cannot_be_read_is_its_collectors_problem(files, monkeypatch, place, reason):
    """The configuration is right and `check` tells the reason; whoever opens the collector meets it too."""
    monkeypatch.setenv("EMPTY", "\n")
    assert "CREDENTIALS_DIRECTORY" not in os.environ
    loaded, said = files(secret(place))
    assert said == [f"rscollector.toml:2: collector.rogue.a.password: {reason}"]
    with pytest.raises(Unresolved, match=f"^{re.escape(reason)}$"):
        text_of(loaded.config.specs[0])


NO_SECRETS = {
    "binary": (b"\xff\xfe", "is not UTF-8"),
    "marked": (b"\xef\xbb\xbfhunter2", "begins with a byte order mark: save it as UTF-8 without one"),
    "empty": (b"", "is empty"),
    "blank": (b"\r\n", "is empty"),
    "long": (b"x" * 65537, "is longer than 64 KiB: is it the right file?"),
    "absent": (None, "cannot be read: No such file or directory"),
    "directory": (None, "cannot be read: Is a directory"),
    "pipe": (None, "cannot be read: it is no regular file"),
}


def test_a_file_is_named_by_its_absolute_path(files):
    """Whoever reads it has another directory than whoever has written it."""
    said = files("[collector.rogue.a]\npassword = { file = 'password' }\n")[1]
    assert said == ["rscollector.toml:2: collector.rogue.a.password: expected a file's absolute path"]


def test_the_environment_of_children_is_a_list():
    """What a worker and its programs need of the host, and nothing that was given to the agent for others."""
    given = [
        "HOME",
        "LANG",
        "PATH",
        "TZ",
        "USER",
        "STATE_DIRECTORY",
        "CREDENTIALS_DIRECTORY",
        "XDG_STATE_HOME",
        "HTTPS_PROXY",
        "no_proxy",
        "LC_TIME",
        "LD_LIBRARY_PATH",
        "MALLOC_ARENA_MAX",
        "PYTHONPATH",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
    ]
    kept = (
        "LANGUAGE",
        "NOTIFY_SOCKET",
        "PASSWORD",
        "AWS_SECRET_ACCESS_KEY",
        "RSCOLLECTOR_DIGEST_KEY",
        "XPATH",
    )
    assert listed(dict.fromkeys((*given, *kept), "x")) == dict.fromkeys(given, "x")


@pytest.mark.parametrize("name", NO_SECRETS)
def test_a_secret_that_is_there_but_is_none_is_its_collectors_problem(files, tmp_path, monkeypatch, name):
    """What a file is that cannot hold a secret is told in words; nothing waits for a pipe."""
    content, why = NO_SECRETS[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for place in (f'file = "{tmp_path}/{name}"', f'credential = "{name}"'):
        loaded, said = files(secret(place))
        assert [each.partition("password: ")[2] for each in said] == [f"the secret in {name} {why}"]
        with pytest.raises(Unresolved, match=f"{re.escape(why)}$"):
            text_of(loaded.config.specs[0])


def test_a_longest_secret_is_read_whole(files, tmp_path):
    """64 KiB are what a secret may have."""
    (tmp_path / "long").write_bytes(b"x" * 65536)
    loaded, said = files(secret(f'file = "{tmp_path}/long"'))
    assert said == []
    assert text_of(loaded.config.specs[0]) == "x" * 65536


def test_a_secret_whose_file_system_hangs_costs_itself_only(files, tmp_path, monkeypatch):
    """The others are looked at, and the configuration is there in time."""
    for name in ("well", "hung"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "password").write_text("hunter2")

    def hang(where, variables):
        if "hung" in where.name:
            time.sleep(3600)
        return content(where, variables)

    monkeypatch.setattr(digests, "content", hang)
    monkeypatch.setattr(digests, "_SECONDS", 1.0)
    wanted = [
        f"[collector.rogue.{name}]\npassword.file = '{tmp_path}/{name}/password'\n"
        for name in ("hung", "well")
    ]
    loaded, said = files("".join(wanted))
    why = "the secret in hung/password cannot be read: to look into hung took more than 1 s, killed"
    assert said == [f"rscollector.toml:2: collector.rogue.hung.password: {why}"]
    hung, well = loaded.config.specs
    assert (bool(hung.unknown), well.unknown) == (True, "")
    monkeypatch.setattr(digests, "content", content)
    again = files("".join(wanted))[0].config.specs
    assert [each.digest for each in again][1] == well.digest
    assert again[0].digest != hung.digest


def test_a_digest_tells_nothing_without_the_agents_key(files, tmp_path, monkeypatch):
    """Whoever sees it cannot try passwords until one fits."""
    (tmp_path / "hidden").write_text("hunter2")
    found = set()
    for key in ("a", "b", "b"):
        monkeypatch.setenv(digests.KEY, key)
        found.add(files(secret(f'file = "{tmp_path}/hidden"'))[0].config.specs[0].digest)
    assert len(found) == 2


@pytest.mark.parametrize(
    "place",
    [
        '"hunter2"',
        '{ fiel = "hunter2" }',
        "{ file = 5 }",
        '{ value = "hunter2" }',
        '{ file = "/hunter2\\u0000" }',
        '{ credential = "hunter2\\u0000" }',
    ],
)
def test_a_secret_that_is_no_place_is_refused_without_being_shown(files, place):
    """A password in the configuration itself is a mistake, and is not repeated."""
    loaded, said = files(f"[collector.rogue.a]\npassword = {place}\n")
    assert loaded.config is None
    assert said[0].startswith(
        "rscollector.toml:2: collector.rogue.a.password: expected a secret's place: { file"
    )
    assert "hunter2" not in said[0]


def test_a_plugin_that_cannot_be_imported_is_the_problem_of_its_instances(files):
    """Its settings cannot be checked, and the other collectors run."""
    loaded, said = files("[collector.broken.a]\nwhatever = 1\n[collector.vip.b]\n")
    assert loaded.config.specs[0].settings == {"whatever": 1}
    assert said == [
        (
            "rscollector.toml:1: collector.broken.a: the plugin 'broken' (no_such_module:Nothing) cannot be imported: "
            "ModuleNotFoundError: No module named 'no_such_module'"
        )
    ]


MODULES = {
    "fails": "raise RuntimeError('no licence')\n",
    "broken_syntax": "def\n",
    "function": "def Plugin(): pass\n",
    "stranger": """
from rscollector.api import Collector, Kind, Metric

class Plugin(Collector):
    metrics = (Metric("other_size", Kind.GAUGE, "Of another one."),)

    def collect(self, context):
        return ()
""",
    "nameless": """
from rscollector.api import Collector

class Plugin(Collector):
    def collect(self, context):
        return ()
""",
} | {
    name: f"""
from rscollector.api import Collector

class Plugin(Collector):
    metrics = ()
    {declared}

    def collect(self, context):
        return ()
"""
    for name, declared in (
        ("hasty", "interval = 0"),
        ("wordy", "interval = '1m'"),
        ("endless", "max_series = 1e999"),
    )
}


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """Install a package with one collector for each of the modules above."""
    texts = {f"odd_{name}": text for name, text in MODULES.items()}
    install(tmp_path / "site", "odd_plugins", {name: f"odd_{name}:Plugin" for name in MODULES}, texts)
    monkeypatch.syspath_prepend(tmp_path / "site")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fails", "(odd_fails:Plugin) cannot be imported: RuntimeError: no licence"),
        ("broken_syntax", "(odd_broken_syntax:Plugin) cannot be imported: SyntaxError: "),
        ("function", "(odd_function:Plugin) is no Collector"),
        ("stranger", "declares other_size, which is not one of its names: they begin with stranger_"),
        ("nameless", "declares no metrics: its class names them in `metrics`"),
        ("hasty", "declares interval = 0, which is no number from 0.1 to 1000000000"),
        ("wordy", "declares interval = '1m', which is no number from 0.1 to 1000000000"),
        ("endless", "declares max_series = inf, which is no number from 1 to 1000000000"),
    ],
)
def test_a_plugin_that_is_none_is_the_problem_of_its_instances(files, plugins, name, reason):
    """Whatever is wrong with a plugin, each of its instances says so and the other collectors run."""
    loaded, said = files(f"[collector.{name}.a]\nwhatever = 1\n[collector.{name}.b]\n[collector.vip.c]\n")
    assert loaded.mistakes == ()
    assert [spec.key for spec in loaded.config.specs] == [f"{name}.a".replace(".", "/"), f"{name}/b", "vip/c"]
    assert len(said) == 2
    for sentence, line in zip(said, ("1: collector.%s.a", "3: collector.%s.b"), strict=True):
        assert sentence.startswith(f"rscollector.toml:{line % name}: the plugin '{name}' {reason}")


def test_a_plugin_that_nobody_uses_is_not_imported(files, plugins):
    """A broken plugin that no instance asks for is nobody's problem."""
    assert files("[collector.vip.c]\n")[1] == []


def test_the_digest_stays_with_what_does_not_matter(files, tmp_path):
    """Neither the order of keys, nor the file, nor another collector restarts one."""
    (tmp_path / "hidden").write_text("hunter2")
    whole = f'[collector.rogue.a]\npassword = {{ file = "{tmp_path}/hidden" }}\ncount = 2\ninterval = "5s"\n'
    turned = (
        f'[collector.rogue.a]\ninterval = "5000ms"\ncount = 2\npassword = {{ file = "{tmp_path}/hidden" }}\n'
    )

    def digest(text, **others):
        specs = files(text, **others)[0].config.specs
        return next(spec.digest for spec in specs if spec.key == "rogue/a")

    found = {
        digest(whole),
        digest(turned),
        digest(whole + "[collector.vip.b]\n[web]\nlisten = []\n[agent]\nhost = 'h'\n"),
        digest('[agent]\ninterval = "5s"\n' + whole.replace('interval = "5s"\n', "")),
        digest("", x=whole),
    }
    assert len(found) == 1


def test_two_instances_of_one_collector_have_digests_of_their_own(files):
    """The name is part of what an instance is."""
    first, second = files("[collector.vip.a]\n[collector.vip.b]\n")[0].config.specs
    assert first.digest != second.digest


def test_the_digest_changes_with_what_matters(files, tmp_path):
    """A secret's content, an interval and a setting matter; a comment does not."""
    hidden = tmp_path / "hidden"

    def digest(text, content="one"):
        hidden.write_text(content)
        return files(text)[0].config.specs[0].digest

    base = secret(f'file = "{hidden}"')
    same = digest(base)
    assert digest("# comment\n" + base) == same
    changed = {
        digest(base, "two"),
        digest("[agent]\ninterval = '1m'\n" + base),
        digest("[agent]\nmax_hangs = 9\n" + base),
        digest(base.replace("[collector.vip.b]", "count = 2")),
    }
    assert len({same, *changed}) == 5


specs = st.builds(
    Spec,
    type=st.sampled_from(["vip", "agent"]),
    name=st.sampled_from("abc"),
    interval=st.floats(0.1, 100),
    timeout=st.floats(0.1, 100),
    max_series=st.integers(1, 100),
    policy=st.builds(Policy, revive=st.sampled_from(Revive), max_hangs=st.integers(1, 5)),
    settings=st.dictionaries(st.text(), st.text() | st.integers()),
    max_memory=st.integers(1, 2**40),
    worker=st.text(),
    sink=st.sampled_from(Feed),
    variables=st.dictionaries(st.text(), st.text()),
    digest=st.sampled_from("xy"),
)

texts = st.lists(st.text()).map(tuple)
listeners = st.builds(
    Listener,
    tls=st.none() | st.builds(Tls, client=st.sampled_from(ClientAuth), client_sans=texts, ciphers=texts),
    users=st.dictionaries(st.text(), st.text()),
    trusted_proxies=texts,
)


@given(
    st.builds(
        Config,
        host=st.text(),
        tags=st.dictionaries(st.text(), st.text()),
        listeners=st.lists(listeners).map(tuple),
        specs=st.lists(specs).map(tuple),
        files=st.lists(st.text()).map(tuple),
    )
)
def test_a_configuration_survives_its_way_to_the_agent(config):
    """What the configuration process writes, the agent reads."""
    assert Config.from_json(config.to_json()) == config


def test_what_a_sink_is_fed_with_is_a_word_in_the_file_and_an_enum_on_both_sides(files):
    """A collector is given nothing, one sink all runs and another the page."""
    loaded, _ = files(
        '[collector.vip.a]\n[sink.bosun.b]\nurl = "http://h"\n[sink.pushgateway.c]\nurl = "http://h"\n'
    )
    text = loaded.config.to_json()
    assert [spec["sink"] for spec in json.loads(text)["specs"]] == ["", "runs", "page"]
    for config in (loaded.config, Config.from_json(text)):
        assert [spec.sink for spec in config.specs] == [Feed.NOTHING, Feed.RUNS, Feed.PAGE]
        assert {type(spec.sink) for spec in config.specs} == {Feed}


@given(
    running=st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xy")),
    wanted=st.dictionaries(st.sampled_from("abcd"), specs),
)
def test_a_plan_does_with_each_collector_one_thing(running, wanted):
    """Added, changed, removed and kept are disjoint, and together they are all."""
    made = plan(running, wanted)
    every = [*made.add, *made.change, *made.remove, *made.keep]
    assert sorted(every) == sorted(running.keys() | wanted.keys())
    assert set(made.keep) == {key for key, spec in wanted.items() if running.get(key) == spec.digest}
    assert set(made.change) == (running.keys() & wanted.keys()) - set(made.keep)
    assert all(list(keys) == sorted(keys) for keys in made)
    assert set(made.add) == wanted.keys() - running.keys()
    assert set(made.remove) == running.keys() - wanted.keys()


def test_a_plan_is_told_in_words():
    """The log has what was done, and how many were left alone."""
    wanted = Spec(
        type="t",
        name="a",
        interval=1,
        timeout=1,
        max_series=1,
        max_memory=1,
        policy=Policy(),
        settings={},
        worker="w",
        digest="1",
    )
    assert str(plan({"a": "1", "b": "1"}, {"a": wanted})) == "remove b; 1 kept"


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_what_ends_a_line_elsewhere_ends_none_of_toml(files, end):
    """A separator of Unicode in a comment shifts no line number and loses no key."""
    _, said = files("[agent]\ninterval = '1s'\n", a=f"# a{end}b\n[agent]\ninterval = '2s'\n")
    assert [each.partition(" at ")[0] for each in said] == [
        "conf.d/a.toml:3: agent.interval: is set already,"
    ]


def test_a_key_that_is_too_deep_is_a_mistake(files):
    """And no traceback."""
    said = files("[collector.vip.a]\n" + ".".join(["a"] * 3000) + " = 1\n")[1]
    assert [each.partition(":")[0] for each in said] == ["rscollector.toml"]


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000 + "]" * 5000], ids=["long", "deep"])
def test_what_is_too_much_for_python_is_a_mistake(files, value):
    """A number of thousands of digits and a nesting of thousands of brackets are refused in a sentence."""
    _, said = files(f"x = {value}")
    assert said[0].startswith("rscollector.toml: is not TOML: ")


@pytest.mark.parametrize(
    "name", ["probation", "probation_misconfigured", "probation_max", "backoff_max", "hang_window"]
)
def test_a_wait_of_no_time_is_refused(files, name):
    """Trying again at once, for ever, would be a busy loop."""
    assert files(f"[agent]\n{name} = '0s'\n")[1] == [f"rscollector.toml:1: agent: {name} is more than 0"]


def test_what_an_editor_hides_in_conf_d_is_not_read(files, tmp_path):
    """A lock file or a backup beside a file is none of ours."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / ".#x.toml").write_text("[broken")
    assert files("")[1] == []


def test_a_plugin_that_ends_the_process_that_imports_it_is_its_own_problem(files):
    """`sys.exit` in a module is no way out: the others run."""
    loaded, said = files("[collector.leaving.a]\n[collector.vip.b]\n")
    assert [spec.key for spec in loaded.config.specs] == ["leaving/a", "vip/b"]
    assert "cannot be imported: ImportError: it ends the process (3)" in said[0]
