"""Have the configuration read by a process of its own, and wait for its answer without blocking the loop."""

import asyncio
import json
import logging
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rscollector.config.digests import KEY
from rscollector.config.types import Config
from rscollector.model.texts import LONGEST_LINE, LONGEST_NOTE, one_line
from rscollector.runtime.children import Child, how, python
from rscollector.runtime.output import Output

log = logging.getLogger("rscollector")

_TIMEOUT = 20.0
_OUR_KEY = secrets.token_hex(16)
_MOST = 16 * 1024 * 1024
_CHUNK = 256 * 1024
_MOST_MISTAKES = 100


@dataclass(frozen=True, slots=True)
class Read:
    """A configuration, or the mistakes that prevent one."""

    config: Config | None
    mistakes: tuple[str, ...]


async def read_configuration(path: Path | None, web: Mapping[str, Any] | None = None) -> Read:
    """Read the configuration files; whatever goes wrong with that becomes a mistake, a sentence each.

    With `web`, as `Config.web` has it, only the files that it names are read.
    Whoever cancels this need not wait for a file system that hangs: the process is killed.
    """
    exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    printed: list[str] = []

    def on_exit(code: int) -> None:
        if not exited.done():
            exited.set_result(code)
        with suppress(OSError):  # what it has left behind may have the other end open: that is not waited for
            ours.shutdown(socket.SHUT_RD)

    def said(line: str) -> None:
        printed[:] = [one_line(line, LONGEST_LINE)]
        log.info("configuration: %s", *printed)

    try:
        with ExitStack() as undo:
            output = Output(said)
            undo.callback(output.close)
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            with theirs, output.theirs, _told(web) as told:
                fds = (theirs.fileno(), told.fileno())
                command = python("rscollector.config", *map(str, fds), *([str(path)] if path else []))
                child = Child.start(command, output.theirs, on_exit, fds=fds)
            undo.pop_all()
    except OSError as error:
        return Read(None, (f"the configuration cannot be read: no process can be started: {error.strerror}",))
    try:
        async with asyncio.timeout(_TIMEOUT):
            answer, code = await _all_of(ours), await exited
    except TimeoutError:
        return Read(None, (f"reading the configuration took more than {_TIMEOUT:.0f} s and was killed",))
    finally:
        child.kill()
        output.close()
    return _parsed(answer, code, printed)


def _told(web: Mapping[str, Any] | None) -> IO[bytes]:
    """Return a file in memory with what that process is told: its environment, and what it is to read again.

    Secrets may be in ours, and what is told of those in files needs a key; but what a process is started with
    stands in /proc as long as it lives.
    """
    file = os.fdopen(os.memfd_create("environment"), "w+b")
    environment = {**os.environ, KEY: _OUR_KEY}
    file.write(json.dumps({"environment": environment, "web": web}).encode("ascii"))
    file.seek(0)
    return file


async def _all_of(ours: socket.socket) -> bytes:
    reader, writer = await asyncio.open_connection(sock=ours)
    output = b""
    try:
        while len(output) <= _MOST and (chunk := await reader.read(_CHUNK)):
            output += chunk
    finally:
        writer.close()
    return output


def shown(mistakes: list[str]) -> Iterator[str]:
    """Yield what people are told of mistakes: a line for each, and how many more there are."""
    yield from (one_line(mistake, LONGEST_NOTE) for mistake in mistakes[:_MOST_MISTAKES])
    if len(mistakes) > _MOST_MISTAKES:
        yield f"and {len(mistakes) - _MOST_MISTAKES} more: `rscollector check` names them all"


def _parsed(output: bytes, code: int, printed: list[str]) -> Read:
    try:
        answer = json.loads(output)
        config = Config.from_json(answer["config"]) if answer["config"] else None
        return Read(config, tuple(shown(answer["mistakes"])))
    except (ValueError, KeyError, TypeError):
        last = "".join(f": {line[:300]}" for line in printed)
        return Read(None, (f"the process that reads the configuration {how(code)}{last}",))
