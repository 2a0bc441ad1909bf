"""What commands make of who answers at a control socket, and is perhaps no agent."""

import json
import math
import socket
import threading
from contextlib import contextmanager, suppress

import pytest
from faces import Face

from rscollector.cli import asking
from rscollector.cli.main import main
from rscollector.runtime.control import is_foreign

OK = b"HTTP/1.1 200 OK\r\n\r\n"
HUNG_UP = "it has hung up without an answer; it may have ended"
NO_ANSWER = "it has not answered within 0 s; it may be stopped, or have no CPU"


@contextmanager
def answering(path, *parts, pause=0.0):
    """Answer one question with these bytes, the last of them for ever where there is a pause."""

    def answer():
        with suppress(OSError), listener.accept()[0] as connection:
            connection.recv(1 << 16)
            for part in parts:
                connection.sendall(part)
            while pause and not done.wait(pause):
                connection.sendall(parts[-1])

    done = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (b"", HUNG_UP),
        (b"SSH-2.0-x\r\n", "what it says is no whole answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "what it says is no whole answer in HTTP"),
        (b"HTTP/1.1 503 x\r\n\r\n{}", "it answers with status 503, and its log may say why"),
        (OK, "what it says is no JSON"),
        (OK + b"\xff", "what it says is no JSON"),
        (OK + b"[" * 100_000, "what it says is no JSON"),
        (OK + b'{"a":' * 5000 + b"1" + b"}" * 5000, "what it says is no JSON"),
        (OK + b'{"a": ' + b"1" * 10_000 + b"}", "what it says is no JSON"),
        (OK + b"[]", "what it says is not about an agent"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_said_in_words(tmp_path, capsys, said, sentence):
    """Whatever comes, with no traceback."""
    path = tmp_path / "s"
    with answering(path, said):
        assert main(["reload", "--socket", str(path)]) == 1
    assert capsys.readouterr().err == f"rscollector: no agent answers on {path}: {sentence}\n"


@pytest.mark.parametrize(
    ("parts", "pause"),
    [
        ((b"HTTP/1.1 100 Continue\r\n\r\n" * 100,), 1e-9),
        ((b"HTTP/1.1 200 OK\r\n", b"a"), 0.01),
        ((OK, b" "), 0.01),
    ],
)
def test_who_says_something_for_ever_is_not_listened_to_for_ever(tmp_path, capsys, monkeypatch, parts, pause):
    """All of an answer has one time, and not each of its bytes."""
    monkeypatch.setattr(asking, "_TIMEOUT", 0.3)
    path = tmp_path / "s"
    with answering(path, *parts, pause=pause):
        assert main(["reload", "--socket", str(path)]) == 1
    assert capsys.readouterr().err == f"rscollector: no agent answers on {path}: {NO_ANSWER}\n"


def test_numbers_that_no_agent_has_are_no_agents(tmp_path, capsys):
    """JSON has no bounds for them."""
    path = tmp_path / "s"
    with answering(path, OK + json.dumps(Face().status() | {"uptime_seconds": math.inf}).encode()):
        assert main(["status", "--socket", str(path)]) == 1
    assert "is no agent that this version understands (OverflowError: " in capsys.readouterr().err


def test_where_more_wait_than_there_is_room_for_that_is_said(tmp_path, capsys):
    """The agent is stopped, and others have asked before."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as other:
        listener.bind(str(path))
        listener.listen(0)
        other.connect(str(path))
        assert main(["reload", "--socket", str(path)]) == 1
    assert "more wait for its answer than it can take" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["file/a/s", "loop/a/s"])
def test_a_path_on_which_nobody_can_look_is_nobodys(tmp_path, capsys, place):
    """A file, or a link to itself, stands where a directory should."""
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    assert not is_foreign(tmp_path / place)
    assert main(["reload", "--socket", str(tmp_path / place)]) == 1
    assert capsys.readouterr().err.startswith(f"rscollector: no agent answers on {tmp_path / place}: ")
