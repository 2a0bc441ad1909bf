"""`reload` with real agents, and with one that says what the test wants."""

import datetime as dt
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from itertools import count

import pytest
import trustme
from faces import Face, serving
from harness import free_port

from rscollector.cli import asking, reload
from rscollector.cli.main import main
from rscollector.testing.http import FakeHttp, Trouble
from rscollector.web.listeners import listen_unix

CONFIG = """
[web]
listen = ["127.0.0.1:{port}"]
[collector.tame.good]
"""
LOCKED = """
[[web.listener]]
address = "127.0.0.1:{port}"
tls = {{ certificate = "server.crt", key = "server.key" }}
[collector.tame.good]
"""
YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
NOT_IN_USE = "rscollector: the reload has failed; the configuration before it is in use"


@pytest.fixture
def reloaded(capsys):
    """Return what a reload ends with, prints and complains of."""

    def run(socket):
        status = main(["reload", "--socket", str(socket)])
        said = capsys.readouterr()
        return status, said.out.strip(), said.err.splitlines()

    return run


def test_what_was_read_is_in_use_when_it_ends(agent, reloaded):
    """Whoever asks then sees the new configuration."""
    started = agent(CONFIG.format(port=free_port()))
    with started.config.open("a") as file:
        file.write("[collector.tame.new]\n")
    assert reloaded(started.socket) == (
        0, f"OK ({started.config}): the agent has read its configuration again", [],
    )  # fmt: skip
    assert started.collector("tame/new")


def test_a_mistake_is_told_and_changes_nothing(agent, reloaded):
    """With its file and line, as `check` has it."""
    started = agent(CONFIG.format(port=free_port()))
    started.config.write_text("[collector.tame.good]\n[collector.nothing.x]\n")
    status, printed, complaints = reloaded(started.socket)
    assert (status, printed) == (1, "")
    assert any(f"{started.config}:2" in each for each in complaints)
    assert complaints[-1] == NOT_IN_USE
    assert started.collector("tame/good")


def test_what_only_the_agent_finds_out_is_told(agent, reloaded):
    """The files are right, and the address is another host's."""
    started = agent(CONFIG.format(port=free_port()))
    started.config.write_text(CONFIG.replace("127.0.0.1", "192.0.2.1").format(port=10071))
    assert reloaded(started.socket) == (
        1, "", ["rscollector: cannot listen on 192.0.2.1:10071: no interface of this host has this address; correct web.listen", NOT_IN_USE],
    )  # fmt: skip


def test_a_certificate_that_is_refused_is_told(agent, reloaded, tmp_path):
    """All else of the configuration is in use."""
    authority = trustme.CA()
    good, other = authority.issue_cert("localhost"), authority.issue_cert("localhost", not_after=YESTERDAY)
    started = agent(CONFIG.format(port=free_port()))
    directory = started.config.parent

    def put(certificate):
        certificate.private_key_pem.write_to_path(directory / "server.key")
        certificate.cert_chain_pems[0].write_to_path(directory / "server.crt")

    put(good)
    port = free_port()
    started.config.write_text(LOCKED.format(port=port))
    assert reloaded(started.socket)[0] == 0
    put(other)
    started.config.write_text(LOCKED.format(port=port) + "[collector.tame.new]\n")
    status, printed, complaints = reloaded(started.socket)
    assert (status, printed) == (1, "")
    assert "expired" in complaints[0]
    assert (
        complaints[-1]
        == "rscollector: what was there before is in the place of what is wrong; all else is in use"
    )
    assert started.collector("tame/new")


def test_without_an_agent_it_says_so(reloaded, tmp_path):
    """Nothing is sent to anybody."""
    status, printed, complaints = reloaded(tmp_path / "none.sock")
    assert (status, printed, len(complaints)) == (1, "", 1)
    assert "is `rscollector run` running" in complaints[0]


def test_what_is_no_socket_was_made_by_no_agent(reloaded, tmp_path):
    """Such as the configuration, given in its place."""
    (tmp_path / "rscollector.toml").touch()
    path = tmp_path / "rscollector.toml"
    assert reloaded(path) == (1, "", [f"rscollector: no agent answers on {path}: it is no socket"])


def test_what_answers_and_is_no_agent_is_sent_nothing(reloaded, sent, tmp_path):
    """Any JSON is not yet a status."""
    path = tmp_path / "other.sock"
    with FakeHttp(path) as other:
        other.answers["/api/v1/status"] = b"[]"
        said = f"rscollector: no agent answers on {path}: what it says is not about an agent"
        assert reloaded(path) == (1, "", [said])
    assert sent == []


@pytest.fixture
def sent(monkeypatch):
    """Return the signals that are sent, of which none arrives."""
    found = []
    monkeypatch.setattr(os, "kill", lambda *signal: found.append(signal))
    return found


@pytest.fixture
def face(tmp_path):
    """Return an agent that says what the test wants; its socket is `control.sock`."""
    made = Face(["a/b"])
    with serving(made, beside=[listen_unix(tmp_path / "run" / "control.sock")]):
        yield made


def test_who_is_sent_the_signal_the_kernel_says(face, reloaded, sent, tmp_path, monkeypatch):
    """And not the answer: root sends it, and whoever can answer at the socket could have it sent to anybody."""
    monkeypatch.setattr(reload, "_SECONDS", 0.2)
    assert reloaded(tmp_path / "run" / "control.sock") == (
        1, "", ["rscollector: the agent has not read its configuration within 0 s; its log may say why"],
    )  # fmt: skip
    assert sent == [(os.getpid(), signal.SIGHUP)]
    assert face.status()["pid"] != os.getpid()


def test_an_agent_of_before_is_sent_nothing(face, reloaded, sent, tmp_path, monkeypatch):
    """It would never be seen to have ended."""
    whole = face.overview
    monkeypatch.setattr(face, "overview", lambda: whole() | {"config": {"files": []}})
    status, _, complaints = reloaded(tmp_path / "run" / "control.sock")
    assert (status, len(complaints), sent) == (1, 1, [])
    assert "no agent that this version understands" in complaints[0]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ProcessLookupError(), "the agent is gone"),
        (PermissionError(), "you may not: run this as the agent's user, or as root"),
    ],
)
def test_a_signal_that_cannot_be_sent_is_said(face, reloaded, tmp_path, monkeypatch, error, says):
    """Whoever is in the agent's group may ask it, and not send it signals."""

    def kill(*_signal):
        raise error

    monkeypatch.setattr(os, "kill", kill)
    assert reloaded(tmp_path / "run" / "control.sock") == (1, "", [f"rscollector: {says}"])


def test_one_that_ends_meanwhile_has_not_said_how_it_went(face, reloaded, tmp_path, monkeypatch):
    """It may have been told to stop, or been killed."""
    socket = tmp_path / "run" / "control.sock"
    monkeypatch.setattr(os, "kill", lambda *_signal: socket.unlink())
    status, printed, (complaint,) = reloaded(socket)
    assert (status, printed) == (1, "")
    assert "has not said how the reload went: there is no such socket" in complaint


def test_somebody_else_at_its_socket_has_not_said_how_it_went(face, reloaded, tmp_path, monkeypatch):
    """What he says instead is told."""
    path, other = tmp_path / "run" / "control.sock", FakeHttp(tmp_path / "run" / "control.sock")
    other.answers["/api/v1/status"] = Trouble.NOT_HTTP
    with ExitStack() as stack:
        monkeypatch.setattr(os, "kill", lambda *_signal: path.unlink() or stack.enter_context(other))
        assert reloaded(path) == (
            1, "", ["rscollector: the agent has not said how the reload went: what it says is no whole answer in HTTP"],
        )  # fmt: skip


def test_without_a_file_it_says_what_is_in_use(face, reloaded, sent, tmp_path, monkeypatch):
    """An agent whose configuration is the one that comes with it."""
    whole, ended = face.overview, count()
    monkeypatch.setattr(face, "mistakes", "")
    monkeypatch.setattr(
        face,
        "overview",
        lambda: (told := whole()) | {"config": told["config"] | {"files": [], "reloads_ended": next(ended)}},
    )
    assert reloaded(tmp_path / "run" / "control.sock") == (
        0, "OK (no configuration file; the built-in one): the agent has read its configuration again", [],
    )  # fmt: skip


def test_nothing_that_an_agent_says_is_for_the_terminal():
    """Nor a name in it, such as that of a tag."""
    assert asking._printable({"tag\x1b[2J": ["a\x07", 1]}) == {"tag\\x1b[2J": ["a\\x07", 1]}


def test_one_in_another_container_is_sent_nothing(face, reloaded, sent, tmp_path, monkeypatch):
    """The kernel gives it the number 0, which is this process group."""
    asked = asking.ask
    monkeypatch.setattr(asking, "ask", lambda path: asked(path)._replace(pid=0))
    status, _, complaints = reloaded(tmp_path / "run" / "control.sock")
    assert (status, sent) == (1, [])
    assert "another container" in complaints[0]


def test_one_that_was_under_way_does_not_count(face, reloaded, sent, tmp_path, monkeypatch):
    """It may have read the files before they were written; nor one that had begun when somebody else asked."""
    whole, counts = face.overview, iter([(4, 4), (5, 4), (5, 5), (6, 5), (6, 6)])

    def told():
        begun, ended = next(counts)
        status = whole()
        status["config"] |= {"reloads_begun": begun, "reloads_ended": ended, "last_reload_error": ""}
        return status | {"config": status["config"] | {"last_reload_successful": True}}

    monkeypatch.setattr(face, "overview", told)
    assert reloaded(tmp_path / "run" / "control.sock")[0] == 0
    assert list(counts) == []


def test_one_that_was_started_anew_meanwhile_is_not_waited_for(face, reloaded, sent, tmp_path, monkeypatch):
    """What it counts has nothing to do with the signal."""
    asked, others = asking.ask, iter([{}, {}, {"pid": 1}])
    monkeypatch.setattr(asking, "ask", lambda path: asked(path)._replace(**next(others)))
    status, printed, (complaint,) = reloaded(tmp_path / "run" / "control.sock")
    assert (status, printed, len(sent)) == (1, "", 1)
    assert "has ended meanwhile" in complaint


def test_a_process_of_another_user_is_sent_nothing(face, reloaded, sent, tmp_path, monkeypatch):
    """Who listened has ended, somebody else answers there, and the number is another's by now."""
    asked = asking.ask
    monkeypatch.setattr(asking, "ask", lambda path: asked(path)._replace(pid=os.getpid(), user=12345))
    assert reloaded(tmp_path / "run" / "control.sock") == (1, "", ["rscollector: the agent is gone"])
    assert sent == []


def test_settings_that_could_not_be_looked_at_are_not_in_use_and_that_is_told(
    agent, reloaded, tmp_path, capsys
):
    """The secret of one is gone; it goes on with what it was, and `status` says so too."""
    password = tmp_path / "password"
    password.write_text("secret")
    table = CONFIG.format(port=free_port()) + f'password = {{ file = "{password}" }}\n'
    started = agent(table)
    password.unlink()
    started.config.write_text(table + "[collector.tame.new]\n")
    kept = f"tame/good: goes on as it was before the reload: the secret in {password} cannot be read: "
    status, printed, complaints = reloaded(started.socket)
    assert (status, printed) == (1, "")
    assert complaints[0].startswith(f"rscollector: {kept}")
    assert complaints[1:] == [
        "rscollector: what was there before is in the place of what is wrong; all else is in use"
    ]
    assert started.collector("tame/new")
    assert kept in started.get("/", accept="text/html")[2].decode()
    assert main(["status", "--socket", str(started.socket)]) == 1
    assert (
        f"of the last reload not all was taken; what was before is in its place:\n{kept}"
        in capsys.readouterr().out
    )
    assert reloaded(started.socket)[0] == 1, "it is asked again"
    password.write_text("secret")
    assert reloaded(started.socket)[0] == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_change_nothing(agent, closed):
    """As a caller leaves them that is a daemon."""
    started = agent(CONFIG.format(port=free_port()))
    command = f"{sys.executable} -m rscollector.cli.main reload --socket {started.socket} {closed}"
    assert subprocess.run(["sh", "-c", command], check=False, timeout=60).returncode == 0


def test_a_full_disk_is_no_fault_of_the_agent(agent):
    """What it has to say cannot be written, and that is what is said."""
    started = agent(CONFIG.format(port=free_port()))
    command = f"{sys.executable} -m rscollector.cli.main reload --socket {started.socket} >/dev/full"
    ended = subprocess.run(["sh", "-c", command], check=False, timeout=60, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (1, "rscollector: cannot write: No space left on device\n")
