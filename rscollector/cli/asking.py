"""How commands ask the running agent: through its control socket, with bounds for all that they wait for."""

import argparse
import http.client
import json
import socket
import struct
from pathlib import Path
from typing import Any, NamedTuple

from rscollector.cli.common import complain
from rscollector.kit.connection import Connection, countdown
from rscollector.model.texts import one_line, printable
from rscollector.runtime.control import FOREIGN, candidates, is_foreign

_TIMEOUT = 5.0
_LONGEST = 64 << 20
_CREDENTIALS = struct.Struct("3i")  # of unix(7): process, user, group


def add_socket(parser: argparse.ArgumentParser) -> None:
    """Add the option `--socket`."""
    parser.add_argument("--socket", type=Path, metavar="PATH", help="the agent's control socket")


class Answer(NamedTuple):
    """What an agent says of itself (`runtime/status.py`), and at which socket.

    The kernel knows who listens there: `pid` is the process, 0 for one in another container, `user` its user.
    """

    status: dict[str, Any]
    path: Path
    pid: int
    user: int


def first_answer(given: Path | None) -> Answer | None:
    """Return the answer of the agent behind a control socket, by default of the first that there is.

    None where no agent answers, which is complained of.
    """
    complaints = []
    for path in [given] if given else candidates():
        if is_foreign(path):
            complaints.append(f"{path.parent} {FOREIGN}")
            continue
        try:
            return ask(path)
        except (OSError, TypeError, ValueError, http.client.HTTPException) as error:
            complaints.append(f"no agent answers on {path}: {why(error, path)}")
    for sentence in complaints:
        complain(sentence)
    return None


def why(error: Exception, path: Path) -> str:
    """Return in words why there is no answer at a control socket."""
    if isinstance(error, FileNotFoundError):
        return "there is no such socket; is `rscollector run` running, as this user?"
    if isinstance(error, PermissionError):
        return "you may not; run this as the agent's user, in its group, or as root"
    if isinstance(error, ConnectionRefusedError):
        return "the agent that made it is gone" if path.is_socket() else "it is no socket"
    if isinstance(error, TimeoutError):
        return f"it has not answered within {_TIMEOUT:.0f} s; it may be stopped, or have no CPU"
    if isinstance(error, BlockingIOError):
        return "more wait for its answer than it can take; it may be stopped, or have no CPU"
    if isinstance(error, ConnectionError):
        return "it has hung up without an answer; it may have ended"
    if isinstance(error, http.client.HTTPException):
        return "what it says is no whole answer in HTTP"
    return one_line((isinstance(error, OSError) and error.strerror) or str(error)) or type(error).__name__


def ask(path: Path) -> Answer:
    """Ask the agent behind a control socket. Raises OSError, HTTPException, ValueError and TypeError."""
    left = countdown(_TIMEOUT)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connected:
        connected.settimeout(left())
        connected.connect(str(path))
        told = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, user, _ = _CREDENTIALS.unpack(told)
        return Answer(_status(Connection(connected, left)), path, pid, user)


def _status(connection: Connection) -> dict[str, Any]:
    client = http.client.HTTPConnection("localhost")
    client.sock = connection  # it has what is used of a socket
    client.request("GET", "/api/v1/status")
    response = client.getresponse()
    if response.status != http.HTTPStatus.OK:
        raise ValueError(f"it answers with status {response.status}, and its log may say why")
    try:
        told = _printable(json.loads(response.read(_LONGEST)))
    except (ValueError, RecursionError) as error:
        raise ValueError("what it says is no JSON") from error
    if not isinstance(told, dict):
        raise TypeError("what it says is not about an agent")
    return told


def _printable(value: Any) -> Any:
    """Return what an agent, perhaps one of another version, says so that it does nothing to a terminal."""
    if isinstance(value, dict):
        return {_printable(key): _printable(each) for key, each in value.items()}
    if isinstance(value, list):
        return list(map(_printable, value))
    return printable(value) if isinstance(value, str) else value
