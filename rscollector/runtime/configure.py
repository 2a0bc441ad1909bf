"""Have the configuration read by a process of its own, and wait for its answer without blocking the loop."""

import asyncio
import json
import os
import secrets
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rscollector.config.digests import KEY
from rscollector.config.types import ANSWER, Config
from rscollector.model.metrics import repaired
from rscollector.runtime.children import Child, how, python

_TIMEOUT = 20.0
_OUR_KEY = secrets.token_hex(16)
_MOST = 16 * 1024 * 1024
_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Read:
    """A configuration, or the mistakes that prevent one."""

    config: Config | None
    mistakes: tuple[str, ...]


async def read_configuration(path: Path | None) -> Read:
    """Read the configuration files; whatever goes wrong with that becomes a mistake, a sentence each.

    Whoever cancels this need not wait for a file system that hangs: the process is killed.
    """
    exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def on_exit(code: int) -> None:
        if not exited.done():
            exited.set_result(code)

    arguments = [str(path)] if path else []
    try:
        with ExitStack() as undo:
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            with theirs:
                command = python("rscollector.config", *arguments)
                # Secrets may be in our environment, and what is told of those in files needs a key.
                child = Child.start(command, theirs, on_exit, more={**os.environ, KEY: _OUR_KEY})
            undo.pop_all()
    except OSError as error:
        return Read(None, (f"the configuration cannot be read: no process can be started: {error.strerror}",))
    try:
        async with asyncio.timeout(_TIMEOUT):
            return _parsed(await _all_of(ours), await exited)
    except TimeoutError:
        return Read(None, (f"reading the configuration took more than {_TIMEOUT:.0f} s and was killed",))
    finally:
        child.kill()


async def _all_of(ours: socket.socket) -> bytes:
    reader, writer = await asyncio.open_connection(sock=ours)
    output = b""
    try:
        while len(output) <= _MOST and (chunk := await reader.read(_CHUNK)):
            output += chunk
    finally:
        writer.close()
    return output


def _parsed(output: bytes, code: int) -> Read:
    lines = output.decode("utf-8", "replace").splitlines()
    try:  # plugins may have printed something before and after
        answer = json.loads(next(line for line in lines if line.startswith(ANSWER)))
        config = Config.from_json(answer["config"]) if answer["config"] else None
        return Read(config, tuple(map(repaired, answer["mistakes"])))
    except (ValueError, KeyError, TypeError, StopIteration):
        said = [line[:300] for line in lines[-1:] if ANSWER not in line]  # an answer holds secrets
        return Read(None, (f"the process that reads the configuration {how(code)}: {' '.join(said)}",))
