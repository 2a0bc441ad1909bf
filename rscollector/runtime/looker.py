"""Whether files have changed, seen by a child that may be killed: the agent reads no file while it runs."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from rscollector.config import looker
from rscollector.runtime.children import Child, how
from rscollector.runtime.output import Output

_SECONDS = 5.0
_MOST_LINES = 1000


class Looker:
    """Looks at files, one look at a time."""

    def __init__(self) -> None:
        self._exited: asyncio.Future[int] | None = None

    async def has_changed(self, seen: Mapping[str, str]) -> bool:
        """Tell whether one of these files is not what it was. Raises OSError where that cannot be told."""
        if self._exited and not self._exited.done():
            raise OSError("the look before this one hangs and cannot be killed")
        lines = await self._look(list(seen))
        if len(lines) != len(seen):
            raise OSError(f"whoever looks has told {len(lines)} lines of {len(seen)} files")
        return lines != list(seen.values())

    async def _look(self, paths: list[str]) -> list[str]:
        lines: list[str] = []
        exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        output = Output(lines.append, burst=_MOST_LINES)
        try:
            command = [sys.executable, "-I", "-S", str(Path(looker.__file__)), *paths]
            child = Child.start(command, output.theirs, exited.set_result)
        except OSError:
            output.close()
            raise
        self._exited = exited
        try:
            async with asyncio.timeout(_SECONDS):
                code = await asyncio.shield(exited)
        except TimeoutError:
            raise OSError(f"to look at them took more than {_SECONDS:.0f} s") from None
        finally:
            child.kill()
            output.close()
        if code:
            raise OSError(f"whoever looks at them {how(code)}")
        return lines
