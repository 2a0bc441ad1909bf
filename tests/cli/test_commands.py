"""The commands as an operator uses them: what they print, and their exit status."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from faces import Face, serving
from harness import until
from rogues import install

from rscollector.web.listeners import listen_unix

CONFIG = """
[agent]
interval = "200ms"
[web]
listen = []
[collector.rogue.bad]
do = "hang"
timeout = "2s"
[collector.tame.good]
"""


@pytest.mark.parametrize(
    "command", ["", "run", "check", "reload", "status", "collect", "collectors", "spool", "migrate", "new"]
)
def test_help_teaches_every_command(rscollector, command):
    """Each command says what it does and how it is called, and that is no failure."""
    done = rscollector(*([command] if command else []), "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: rscollector {command}".rstrip())
    assert len(done.stdout.splitlines()) >= 6


def test_a_wrong_command_line_gives_status_2(rscollector):
    """Usage errors have the exit status 2, with a hint and without a traceback."""
    done = rscollector("colect")
    assert done.returncode == 2
    assert "usage: rscollector" in done.stderr
    assert "Traceback" not in done.stderr


def test_version_is_the_packages(rscollector):
    """--version says the version."""
    from rscollector import __version__

    assert rscollector("--version").stdout == f"rscollector {__version__}\n"


def test_check_says_what_a_right_configuration_watches(rscollector, tmp_path):
    """A right configuration is confirmed with what it will watch."""
    config = tmp_path / "rscollector.toml"
    config.write_text("[collector.vip.main]\n")
    done = rscollector("check", "-c", config)
    assert (done.returncode, done.stdout) == (0, f"OK ({config}): watches vip/main\n")


def test_check_names_seven_mistakes_at_once(rscollector, tmp_path):
    """Seven different mistakes give seven sentences, each with file, line, path and what was expected."""
    config = tmp_path / "rscollector.toml"
    config.write_text(
        '[agent]\ninterval = 15\nintervall = "15s"\n'
        '[web]\nlisten = ["localhost:80"]\n'
        '[collector.vip.main]\naddresses = "192.0.2.1"\nmax_series = true\n'
        "[collector.vpi.main]\n"
        '[collector.rogue.x]\npassword = "hunter2"\n'
    )
    done = rscollector("check", "-c", config)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f'rscollector: {config}:2: agent.interval: expected a duration such as "15s", "250ms" or "1h30m", not 15',
        f'rscollector: {config}:3: agent.intervall: unknown key; did you mean "interval"?',
        (
            f'rscollector: {config}:5: web.listen.0: expected an address and port such as "127.0.0.1:10070" '
            'or "[::1]:10070", not "localhost:80"'
        ),
        f'rscollector: {config}:7: collector.vip.main.addresses: expected a list [ … ], not "192.0.2.1"',
        f"rscollector: {config}:8: collector.vip.main.max_series: expected a whole number, not true",
        f'rscollector: {config}:9: collector.vpi: no such collector is installed; did you mean "vip"?',
        (
            f"rscollector: {config}:11: collector.rogue.x.password: expected a secret's place: "
            '{ file = "…" }, { env = "…" } or { credential = "…" }'
        ),
    ]


def test_check_names_a_file_that_is_not_there(rscollector, tmp_path):
    """A configuration file that was asked for and is not there is a mistake, and no reason to do without."""
    done = rscollector("check", "-c", tmp_path / "none.toml")
    assert done.returncode == 2
    assert done.stderr == f"rscollector: {tmp_path}/none.toml: cannot be read: No such file or directory\n"


def test_collectors_lists_what_is_installed(rscollector):
    """Each installed collector has a line; one that cannot be imported has its reason."""
    done = rscollector("collectors")
    assert done.returncode == 0
    assert re.search(r"^vip +Virtual IP addresses: ", done.stdout, re.MULTILINE)
    assert re.search(
        r"^broken +the plugin 'broken' .* cannot be imported: ModuleNotFoundError", done.stdout, re.MULTILINE
    )


def test_collectors_describes_one(rscollector):
    """Settings and metrics of a collector are listed with their meaning."""
    done = rscollector("collectors", "vip")
    assert done.returncode == 0
    assert re.search(r"^addresses +list of IP address +none ", done.stdout, re.MULTILINE)
    assert re.search(r"^vip_bound +gauge +name, address +Whether", done.stdout, re.MULTILINE)


BARE = """
from dataclasses import dataclass
from rscollector.api import Collector, Namespace

@dataclass(frozen=True)
class Settings:
    most: int = 50

class Bare(Collector):
    metrics = (Namespace("bare").gauge("number", "A number."),)
    Settings = Settings

    def collect(self, context):
        yield {given}
"""


def bare(tmp_path, given):
    """Install a collector about which its author says nothing; return the environment that finds it."""
    install(tmp_path / "site", "bare", {"bare": "bare:Bare"}, {"bare": BARE.format(given=given)})
    return {"PYTHONPATH": os.pathsep.join((str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")))}


def test_collectors_describes_one_of_which_nothing_is_said(rscollector, tmp_path):
    """A class without a docstring and a setting without a sentence are named as that."""
    done = rscollector("collectors", "bare", **bare(tmp_path, "self.metrics[0](1)"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("bare: its class has no docstring\n")
    assert re.search(r"^most +whole number +50 +-$", done.stdout, re.MULTILINE)


def test_collect_names_what_is_no_sample(rscollector, tmp_path):
    """As the agent would: it is a bug of the collector, and not of the command."""
    done = rscollector("collect", "bare", **bare(tmp_path, "5"))
    assert done.returncode == 1
    assert done.stderr.endswith("rscollector: bare: bug: collect gave 5, which is no Sample\n")


def test_a_collector_that_is_not_installed_is_named_with_those_that_are(rscollector):
    """`collectors` and `collect` of an unknown type say which there are, with status 2."""
    done = rscollector("collectors", "galerra")
    assert done.returncode == 2
    said, _, listed = done.stderr.strip().partition("; installed: ")
    assert said.endswith("no collector of the type 'galerra' is installed")
    names = listed.split(", ")
    assert names == sorted(names)
    assert {"agent", "broken", "galera", "host", "leaving", "postfix", "rogue", "tame", "vip", "wide"} <= {
        *names
    }
    assert rscollector("collect", "galerra").stderr.splitlines()[-1].endswith("tame, vip, wide")


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("table", "METRIC            LABELS  VALUE\nrogue_runs_total  -       1\n"),
        (
            "prometheus",
            (
                "# HELP rogue_runs_total How often it was asked.\n# TYPE rogue_runs_total counter\n"
                'rogue_runs_total{name="main"} 1.0\n'
            ),
        ),
        ("json", '[\n  {\n    "name": "rogue_runs_total",\n    "labels": {},\n    "value": 1\n  }\n]\n'),
    ],
)
def test_collect_prints_what_one_collector_gives(rscollector, form, expected):
    """The three formats show the same samples."""
    done = rscollector("collect", "rogue", "--format", form)
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


@pytest.mark.parametrize(
    ("do", "said"),
    [
        ("unavailable", "rscollector: rogue: unavailable: the server does not like us\n"),
        ("refused", "rscollector: rogue: unavailable: nobody listens\n"),
        (
            "degraded",
            "rscollector: rogue/main: it is odd\nrscollector: rogue: unavailable: its target is away, 1 wait\n",
        ),
    ],
)
def test_collect_says_what_the_world_did(rscollector, do, said):
    """The world's failures are one sentence without a traceback, with status 1; what is right is printed."""
    done = rscollector("collect", "rogue", "--set", f"do={do}")
    assert (done.returncode, done.stderr) == (1, said)
    assert bool(done.stdout) == (do == "degraded")


def test_collect_shows_a_bug_with_its_traceback(rscollector):
    """A plugin's author sees the traceback, and then the sentence."""
    done = rscollector("collect", "rogue", "--set", 'do="bug"')
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1] == "rscollector: rogue: bug: division by zero"


@pytest.mark.parametrize("do", ["hang", "regex"])
def test_collect_ends_a_hang(rscollector, do):
    """Even in the foreground nothing waits for ever."""
    began = time.monotonic()
    done = rscollector("collect", "rogue", "--set", f"do={do}", "--timeout", "0.5")
    assert done.returncode == 1
    assert time.monotonic() - began < 20
    assert re.search(r"no answer for 0.5 s \(in .*\)|Timeout \(0:00:0", done.stderr)


def test_collect_uses_the_configuration_of_a_named_collector(rscollector, tmp_path):
    """TYPE/NAME takes the settings from the configuration, and --set changes them."""
    config = tmp_path / "rscollector.toml"
    config.write_text('[collector.rogue.a]\ndo = "labels"\n')
    done = rscollector("collect", "rogue/a", "-c", config)
    assert 'text=a "quoted"' in done.stdout
    again = rscollector("collect", "rogue/a", "-c", config, "--set", 'do="fine"')
    assert "text=" not in again.stdout
    absent = rscollector("collect", "rogue/b", "-c", config)
    assert absent.returncode == 2
    assert "the configuration has no such collector; it has: rogue/a" in absent.stderr


def test_collect_takes_the_one_of_a_type_that_is_configured(rscollector, tmp_path):
    """With two of them it asks which one; a type that is not configured has its defaults."""
    config = tmp_path / "rscollector.toml"
    config.write_text('[collector.rogue.a]\ndo = "labels"\n')
    done = rscollector("collect", "rogue", "-c", config, "--format", "prometheus")
    assert 'name="a",text="a \\"quoted\\"' in done.stdout
    assert rscollector("collect", "tame", "-c", config).returncode == 0
    config.write_text("[collector.rogue.a]\n[collector.rogue.b]\n")
    done = rscollector("collect", "rogue", "-c", config)
    assert done.returncode == 2
    assert done.stderr == "rscollector: rogue: which one of the configuration: rogue/a, rogue/b?\n"


def test_collect_is_given_the_secrets(rscollector, tmp_path):
    """A secret of the configuration, and one whose place --set names, reach the collector, and are masked."""
    config = tmp_path / "rscollector.toml"
    config.write_text('[collector.rogue.a]\ndo = "misconfigured"\npassword = { env = "HIDDEN" }\n')
    done = rscollector("collect", "rogue/a", "-c", config, HIDDEN="swordfish")
    assert done.stderr == "rscollector: rogue/a: misconfigured: the password '***' is wrong\n"
    place = 'password={ env = "HIDDEN" }'
    again = rscollector("collect", "rogue", "--set", "do=misconfigured", "--set", place, HIDDEN="swordfish")
    assert again.stderr == "rscollector: rogue: misconfigured: the password '***' is wrong\n"


def test_collect_names_a_wrong_setting(rscollector):
    """A setting that is unknown or of the wrong type is a usage error."""
    done = rscollector("collect", "rogue", "--set", "count='x'", "--set", "tag=1")
    assert done.returncode == 2
    assert 'count: expected a whole number, not "x"' in done.stderr
    assert "tag: unknown key; known: at_close, count, " in done.stderr


def test_collect_refuses_a_setting_without_a_value(rscollector):
    """`--set KEY` is no empty text."""
    done = rscollector("collect", "rogue", "--set", "do")
    assert done.returncode == 2
    assert "--set do: not KEY=VALUE as in TOML" in done.stderr


@pytest.mark.parametrize("seconds", ["-1", "0", "nan", "inf", "1e9", "soon"])
def test_collect_refuses_a_time_that_no_timer_can_have(rscollector, seconds):
    """In a sentence, and not as a bug of the collector."""
    done = rscollector("collect", "rogue", f"--timeout={seconds}")
    assert done.returncode == 2
    assert "--timeout: expected seconds, more than 0 and at most 86400" in done.stderr


def test_status_says_why_a_number_is_missing(agent, rscollector):
    """A collector that hangs is shown with its reason and where it hung, and the exit status is 1."""
    started = agent(CONFIG)
    until(lambda: started.state("rogue/bad") == "removed")
    done = rscollector("status", "--socket", started.socket)
    assert done.returncode == 1
    assert re.search(
        r"^removed .* rogue/bad .* no answer for 2 s, killed \(in plugins/rogue.py:\d+\); removed, next attempt in ",
        done.stdout,
        re.MULTILINE,
    )
    assert re.search(r"^up .* tame/good +1 ", done.stdout, re.MULTILINE)
    assert done.stdout.index("rogue/bad") < done.stdout.index("tame/good"), "the worst comes first"
    done = rscollector("status", "--wrong", "--socket", started.socket)
    assert done.returncode == 1
    assert "rogue/bad" in done.stdout
    assert "tame/good" not in done.stdout
    assert "rogue/bad hung here:\n" in done.stdout
    assert "in _hang" in done.stdout


def test_status_as_json_is_whole(agent, rscollector):
    """--json prints all that the agent says."""
    started = agent(CONFIG.replace('do = "hang"', ""))
    until(lambda: all(each["up"] for each in started.status()["collectors"]))
    done = rscollector("status", "--json", "--socket", started.socket)
    assert done.returncode == 0
    assert [f"{each['type']}/{each['name']}" for each in json.loads(done.stdout)["collectors"]] == [
        "rogue/bad",
        "tame/good",
    ]


def test_status_is_shown_again_and_again_until_it_is_interrupted(agent):
    """With --watch; when nothing is wrong it says so."""
    started = agent(CONFIG.replace('do = "hang"', ""))
    until(lambda: all(each["up"] for each in started.status()["collectors"]))
    command = ["env", "--default-signal=INT"]  # which is ignored by what a shell runs in the background
    command += [sys.executable, "-m", "rscollector.cli.main", "status", "--wrong", "--watch", "0.2"]
    command += ["--socket", started.socket]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        seen = [watching.stdout.readline() for _ in range(12)]
        watching.send_signal(signal.SIGINT)
        assert watching.wait(30) == 0
    assert seen.count("Nothing is wrong.\n") >= 2


def test_status_asks_nobody_where_anybody_may_have_made_the_socket(rscollector, tmp_path):
    """A link by our name in a directory like /tmp may lead to somebody's own agent."""
    tmp_path.chmod(0o1777)
    (tmp_path / "rscollector-7").symlink_to("/etc")
    done = rscollector("status", "--socket", tmp_path / "rscollector-7" / "control.sock")
    assert done.returncode == 1
    assert f"{tmp_path}/rscollector-7 was made by another user" in done.stderr


@pytest.mark.parametrize("seconds", ["0", "nan", "1e9", "soon"])
def test_status_cannot_be_shown_all_the_time(rscollector, seconds):
    """In a sentence."""
    done = rscollector("status", "--watch", seconds)
    assert done.returncode == 2
    assert "--watch: expected seconds from 0.2 to 3600, not " in done.stderr
    assert "Traceback" not in done.stderr


STRANGE = ["{}", "[]", "null", '{"collectors": []}', '{"collectors": [{"up": true}], "config": {}}']


@pytest.mark.parametrize("said", STRANGE)
def test_status_of_what_is_no_agent_is_a_sentence(rscollector, tmp_path, said):
    """Whoever answers on the socket, perhaps an agent of a version to come, is no traceback."""

    def answer():
        with listener.accept()[0] as client:
            client.recv(65536)
            client.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(said)}\r\n\r\n{said}".encode())

    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(1) as thread:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        thread.submit(answer)
        done = rscollector("status", "--socket", tmp_path / "socket")
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"rscollector: (what answers is )?no agent .*\n", done.stderr)


@pytest.mark.parametrize(
    ("wrong", "code", "says"),
    [
        ({}, 0, "nothing"),
        ({"mistakes": "x.toml:3: no"}, 1, "x.toml:3: no"),
        ({"web_mistake": "web.crt:1: no"}, 1, "web.crt:1: no"),
        ({"notes": ["missing: a half"]}, 1, "missing: a half"),
    ],
)
def test_status_ends_with_1_when_something_is_wrong(rscollector, tmp_path, wrong, code, says):
    """Whatever the page calls so: with all collectors up, what a reload has refused, or what is missing."""
    face = Face(["a/b"])
    face.mistakes = ""
    face.collectors[0]["notes"] = wrong.get("notes", [])
    vars(face).update(wrong)
    with serving(face, beside=[listen_unix(tmp_path / "run" / "control.sock")]):
        done = rscollector("status", "--socket", tmp_path / "run" / "control.sock")
    assert done.returncode == code, done.stderr
    assert code == 0 or says in done.stdout


def test_status_without_an_agent_says_so(rscollector, tmp_path):
    """Where no agent answers, the sentence says where it was looked for."""
    done = rscollector("status", "--socket", tmp_path / "none.sock")
    assert done.returncode == 1
    assert done.stderr == (
        f"rscollector: no agent answers on {tmp_path}/none.sock: there is no such socket; "
        "is `rscollector run` running, as this user?\n"
    )


def test_status_tells_all_the_places_where_it_looked(rscollector, tmp_path):
    """Without an agent each place is named with what is wrong there."""
    done = rscollector("status", RUNTIME_DIRECTORY=str(tmp_path))
    assert done.returncode == 1
    assert [line.split(":")[1].split()[-1] for line in done.stderr.splitlines()] == [
        f"{tmp_path}/control.sock",
        "/run/rscollector/control.sock",
    ]


def test_colours_are_for_terminals_only(rscollector):
    """On a terminal there are colours, in a pipe there are none, and NO_COLOR is respected."""
    command = [sys.executable, "-m", "rscollector.cli.main", "collectors"]

    def on_a_terminal(**environment):
        ours, theirs = pty.openpty()
        subprocess.run(
            command, stdout=theirs, timeout=20, check=True, env={**os.environ, "TERM": "xterm", **environment}
        )
        os.close(theirs)
        try:
            return os.read(ours, 65536)
        finally:
            os.close(ours)

    assert b"\033[" in on_a_terminal()
    assert b"\033[" not in on_a_terminal(NO_COLOR="1")
    assert "\033[" not in rscollector("collectors").stdout


def test_help_and_status_import_no_server():
    """`--help` answers quickly because it imports neither the agent nor a library for HTTP or metrics."""
    code = (
        "import sys; from rscollector.cli.main import parser; parser(); "
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'h11', 'starlette', 'prometheus_client', 'jinja2', 'psutil', 'netifaces'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout == "[]\n"
