"""What the web application shows of a running agent: `web.app.Face`."""

import asyncio
from collections.abc import Iterable
from itertools import chain
from typing import Any

from rscollector.exposition.render import EOF, Format
from rscollector.runtime.heartbeat import Heartbeat
from rscollector.runtime.status import status
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.telemetry import Telemetry
from rscollector.runtime.vitals import Vitals


class AgentFace:
    """Reads the parts of the agent, and changes none."""

    def __init__(
        self, supervisor: Supervisor, telemetry: Telemetry, vitals: Vitals, heartbeat: Heartbeat
    ) -> None:
        self._supervisor = supervisor
        self._telemetry = telemetry
        self._vitals = vitals
        self._heartbeat = heartbeat

    def page(self, wanted: Format) -> Iterable[bytes]:
        """Return the page of all metrics, in chunks."""
        self._telemetry.render_some()
        return chain(self._telemetry.chunks(wanted), self._supervisor.store.chunks(wanted), [EOF[wanted]])

    def text(self) -> str:
        """Return the page of all metrics in Prometheus' text format."""
        return b"".join(self.page(Format.TEXT)).decode("utf-8")

    def status(self, *, with_minutes: bool = False) -> dict[str, Any]:
        """Return what `rscollector status` shows."""
        now = asyncio.get_running_loop().time()
        return status(self._supervisor, self._vitals, now, with_minutes=with_minutes)

    def unhealthy(self) -> str:
        """Return why the loop is not doing its work."""
        return self._heartbeat.unhealthy()

    def unready(self) -> str:
        """Return what the agent is busy with instead of watching."""
        return f"the agent {self._vitals.busy}" if self._vitals.busy else ""
