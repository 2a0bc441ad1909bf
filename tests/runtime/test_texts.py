"""Whatever a stranger says, wherever it comes in: no control character and no secret is shown anywhere."""

import html
import json
import re
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from harness import until

PLUGIN = Path(__file__).parent.parent / "plugins" / "loud.py"

SECRETS = {
    "plain": "hunter2",
    "odd": "s3/cr@t <p'w\">",
    "letters": "pässwörd€",
    "lines": "first-line\nsecond-line",
}
AGENT = """
[agent]
interval = "1s"
timeout = "800ms"
backoff_max = "1s"
max_failures = 100000
max_hangs = 100000
[web]
listen = []
"""
PLACES = ("open", "settings", *re.findall(r"    def _(\w+)\(self, _?context\)", PLUGIN.read_text()))
"""Where a text can come from; a place that is not here is a method that is not in the plugin."""
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def forms(secret):
    """Yield what must not be shown: each line of a secret, as others write it."""
    for line in secret.splitlines():
        yield from (
            line,
            quote(line, safe=""),
            repr(line)[1:-1],
            repr(line.encode())[2:-1],
            json.dumps(line)[1:-1],
        )
        yield html.escape(line)
        yield b64encode(f"user:{line}".encode()).decode()[8:-4]


def harmless(text, what):
    """It has no control character but newlines, no line of a stranger's, and no secret."""
    assert _CONTROL.findall(text) == [], what
    assert not [line for line in text.splitlines() if line.startswith(("12:00:00", "forged"))], what
    for name, secret in SECRETS.items():
        assert [form for form in forms(secret) if form in text] == [], (what, name)


def texts(value):
    """Yield all texts in a value."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


def section(place, name):
    """Return a section for a collector that says it in a place."""
    return f'[collector.loud.{place}-{name}]\nwhere = "{place}"\npassword = {{ env = "SECRET_{name}" }}\n'


def bounded(collector):
    """Its sentences are lines, and neither they nor its stack are longer than they may be."""
    assert "\n" not in " ".join([collector["reason"], *collector["notes"]])
    assert len(collector["reason"]) < 700
    assert len(collector["last_stack"]) < 40 * 310
    assert max(map(len, collector["notes"]), default=0) <= 1000
    assert len(collector["notes"]) <= 10


@pytest.mark.parametrize("name", SECRETS)
def test_what_comes_in_anywhere_is_harmless_everywhere(agent, rscollector, name):
    """In the log, the status, the pages, and what commands print: each of the places with the same text."""
    text = AGENT + "".join(section(place, name) for place in PLACES)
    started = agent(text, **{f"SECRET_{name}": SECRETS[name]})

    def all_have_spoken():
        told = {each["name"].removesuffix(f"-{name}"): each for each in started.status()["collectors"]}
        return all(
            each["reason"] or each["notes"] or each["last_success_seconds_ago"] is not None
            for each in told.values()
        )

    until(all_have_spoken)
    until(lambda: started.collector(f"loud/stack-{name}")["last_stack"])
    until(lambda: "killed what workers have left behind" in started.log)
    until(
        lambda: all(
            f"loud/{place}-{name}: " in started.log
            for place in ("write", "long", "thread", "program", "building")
        )
    )
    harmless(started.log, "the log")
    assert "a line of more than" not in started.log
    status = started.status()
    for each in status["collectors"]:
        bounded(each)
    harmless("\n".join(texts(status)), "the status")
    harmless(html.unescape(started.get("/")[2].decode()), "the page for people")
    harmless(rscollector("status", "--socket", started.socket).stdout, "the command")
    page = started.get("/metrics")[2].decode()
    assert _CONTROL.findall(page) == []
    for pid in started.family():
        with suppress(OSError):  # it has ended
            process = Path(f"/proc/{pid}")
            inherited = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            harmless(inherited.decode().replace("\0", "\n"), process)


@pytest.mark.parametrize(
    "place", ["reason", "bug", "cause", "note", "undeclared", "invalid", "degraded", "failing_program"]
)
@pytest.mark.parametrize("form", ["table", "json", "prometheus"])
def test_what_is_collected_in_the_foreground_is_as_harmless(rscollector, tmp_path, place, form):
    """`rscollector collect` prints what a stranger says to a person's terminal."""
    config = tmp_path / "rscollector.toml"
    config.write_text(section(place, "odd"))
    done = rscollector(
        "collect", f"loud/{place}-odd", "-c", config, "--format", form, SECRET_odd=SECRETS["odd"]
    )
    harmless(done.stderr, "standard error")
    assert _CONTROL.findall(done.stdout) == []
    assert done.stderr


def test_a_configuration_cannot_say_anything_else_either(agent, rscollector, tmp_path):
    """Keys, values and the names of files are told in sentences."""
    config = tmp_path / "rscollector.toml"
    hosts = (f'[agent]\nhost = "{host}"\n' for host in ("a\\u001b[2J", "a\\nb"))
    tags = (f"[agent.tags]\n{tag}\n" for tag in ('dc = "a\\u001b[2J"', '"d\\nforged" = "a"'))
    for wrong in (*hosts, *tags):
        config.write_text(wrong)
        done = rscollector("check", "-c", config)
        assert "agent: host, tags: expected no newline or other control character" in done.stderr
    odd = '"a\\u001b[2J\\u000aforged\\u202e" = 1\n'
    config.write_text(
        f"[agent]\n{odd}[web]\nlisten = ['\\u001b[2J']\n[collector.rogue.a]\ndo = 'fine'\n{odd}"
    )
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "x\x1b[2J\nforged.toml").write_text("[collector.vip.main]\nno_such = 1\n")
    done = rscollector("check", "-c", config)
    assert done.returncode == 2
    harmless(done.stdout + done.stderr, "check")
    started = agent("[web]\nlisten = []\n[collector.tame.good]\n")
    until(lambda: started.collector("tame/good"))
    started.reload(config.read_text())
    status = started.status()
    harmless(started.log, "the log")
    harmless(status["config"]["last_reload_error"], "the status")
    harmless(rscollector("status", "--socket", started.socket).stdout, "the command")


def test_mistakes_without_end_are_bounded(agent):
    """A file that is not ours may have a mistake in each of its lines."""
    started = agent("[web]\nlisten = []\n[collector.tame.good]\n")
    started.reload("[agent]\n" + "".join(f'key{number} = "{"x" * 2000}"\n' for number in range(500)))
    told = started.status()["config"]["last_reload_error"].splitlines()
    assert len(told) == 101
    assert told[-1].startswith("and 400 more: `rscollector check` names them all")
    assert max(map(len, told)) <= 1000
