"""How commands ask the running agent: through its control socket, with bounds for all that they wait for."""

import argparse
import http.client
import json
import socket
import struct
from pathlib import Path
from typing import Any, NamedTuple

from rscollector.cli.common import complain
from rscollector.model.texts import one_line, printable
from rscollector.runtime.control import FOREIGN, candidates, is_foreign

_TIMEOUT = 5.0
_LONGEST = 64 << 20
_CREDENTIALS = struct.Struct("3i")  # of unix(7): process, user, group


def add_socket(parser: argparse.ArgumentParser) -> None:
    """Add the option `--socket`."""
    parser.add_argument("--socket", type=Path, metavar="PATH", help="the agent's control socket")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    sock: socket.socket

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))

    def peer(self) -> int:
        """Return the process id of who listens there, as the kernel says; 0 for one in another container."""
        told = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid: int = _CREDENTIALS.unpack(told)[0]
        return pid


class Answer(NamedTuple):
    """What an agent says of itself (`runtime/status.py`), at which socket, and its process id."""

    status: dict[str, Any]
    path: Path
    pid: int


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
    return one_line(str(error)) or type(error).__name__


def ask(path: Path) -> Answer:
    """Ask the agent behind a control socket. Raises OSError, HTTPException, ValueError and TypeError."""
    connection = _UnixConnection(path)
    try:
        connection.request("GET", "/api/v1/status")
        pid = connection.peer()
        told = json.loads(connection.getresponse().read(_LONGEST))
        if not isinstance(told, dict):
            raise TypeError("what it says is not about an agent")
        return Answer(_printable(told), path, pid)
    finally:
        connection.close()


def _printable(value: Any) -> Any:
    """Return what an agent, perhaps one of another version, says so that it does nothing to a terminal."""
    if isinstance(value, dict):
        return {_printable(key): _printable(each) for key, each in value.items()}
    if isinstance(value, list):
        return list(map(_printable, value))
    return printable(value) if isinstance(value, str) else value
