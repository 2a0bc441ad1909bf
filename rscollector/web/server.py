"""hypercorn in the agent's loop: it serves our application on our listeners until it is told to stop."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config, Sockets

from rscollector.web.listeners import Listener

IDLE = 5.0  # seconds in which a request's headers have to come


class _OurSockets(Config):
    """hypercorn's configuration, with sockets that are listening already."""

    listeners: Sequence[Listener] = ()

    def create_sockets(self) -> Sockets:
        """Return our listeners."""
        return Sockets([], list(self.listeners), [])


def _config(listeners: Sequence[Listener]) -> Config:
    config = _OurSockets()
    config.listeners = listeners
    config.errorlog = logging.getLogger("rscollector.web")
    config.errorlog.setLevel(logging.WARNING)
    config.accesslog = None
    config.keep_alive_timeout = IDLE
    config.graceful_timeout = 1.0
    config.include_server_header = False
    config.alpn_protocols = ["http/1.1"]
    return config


async def run(application: Any, listeners: Sequence[Listener], stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    await serve(application, _config(listeners), shutdown_trigger=stop.wait)
