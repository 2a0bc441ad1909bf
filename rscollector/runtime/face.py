"""What the web application shows of a running agent: `web.app.Face`."""

import asyncio
from collections.abc import Iterable
from itertools import chain
from typing import Any

from rscollector.config.types import Spec
from rscollector.exposition.render import EOF, Format
from rscollector.model.metrics import Metric
from rscollector.runtime.details import details, history, metadata, settings
from rscollector.runtime.heartbeat import Heartbeat
from rscollector.runtime.status import collector, event_id, overview, reading, status
from rscollector.runtime.supervisor import Supervisor
from rscollector.runtime.telemetry import METRICS, Telemetry
from rscollector.runtime.vitals import Vitals
from rscollector.web.events import Changed


class AgentFace:
    """Reads the parts of the agent, and changes none."""

    def __init__(
        self, supervisor: Supervisor, telemetry: Telemetry, vitals: Vitals, heartbeat: Heartbeat
    ) -> None:
        self._supervisor = supervisor
        self._telemetry = telemetry
        self._vitals = vitals
        self._heartbeat = heartbeat
        self.epoch = vitals.epoch

    def page(self, wanted: Format) -> Iterable[bytes]:
        """Return the page of all metrics, in chunks."""
        self._telemetry.render_some()
        return chain(self._telemetry.chunks(wanted), self._supervisor.store.chunks(wanted), [EOF[wanted]])

    def text(self) -> str:
        """Return the page of all metrics in Prometheus' text format."""
        return b"".join(self.page(Format.TEXT)).decode("utf-8")

    def status(self) -> dict[str, Any]:
        """Return what `rscollector status` shows."""
        return status(self._supervisor, self._vitals, asyncio.get_running_loop().time())

    def overview(self) -> dict[str, Any]:
        """Return the status without what it says of the collectors."""
        return overview(self._supervisor, self._vitals, asyncio.get_running_loop().time())

    def event_id(self) -> str:
        """Return the id of an event that would come now."""
        return event_id(self._supervisor, self._vitals)

    def changed(self, since: int | None) -> Changed:
        """Return what is news since a number, or everything where that is not known."""
        supervisor = self._supervisor
        news = supervisor.changes.since(since or 0, only_news=True)
        everything = since is None or news.missed != 0
        keys = sorted(supervisor.instances) if everything else list(dict.fromkeys(news.keys))
        reloaded = everything or "" in keys
        return Changed(
            number=news.number,
            everything=everything,
            keys=[key for key in keys if key in supervisor.instances],
            gone=[key for key in keys if key and key not in supervisor.instances],
            configuration=reading(self._vitals) if reloaded else None,
        )

    def objects(self, keys: Iterable[str], *, with_minutes: bool = False) -> list[dict[str, Any]]:
        """Return the objects of the status of these collectors and sinks, as far as they are still there.

        If asked, with each one's last hour.
        """
        now, there = asyncio.get_running_loop().time(), self._supervisor.instances
        return [
            collector(there[key], self._supervisor, now)
            | ({"minutes": there[key].history.minutes(now)} if with_minutes else {})
            for key in keys
            if key in there
        ]

    def collector(self, key: str) -> dict[str, Any] | None:
        """Return all that is known of a collector or sink, None where there is none of this key."""
        instance = self._supervisor.instances.get(key)
        now = asyncio.get_running_loop().time()
        return details(self._supervisor, self._vitals, instance, now) if instance else None

    def history(self, key: str) -> list[dict[str, Any]] | None:
        """Return what a collector or sink has been, the newest first."""
        instance = self._supervisor.instances.get(key)
        return history(instance.history) if instance else None

    def metadata(self) -> list[dict[str, Any]]:
        """Return what the metrics are that the agent and its collectors declare, and of which types."""
        found: dict[str, tuple[Metric, set[str]]] = {each.name: (each, {"agent itself"}) for each in METRICS}
        for instance in self._supervisor.instances.values():
            for name, metric in instance.declared.items():
                found.setdefault(name, (metric, set()))[1].add(instance.spec.type)
        return [metadata(metric) | {"collectors": sorted(types)} for metric, types in found.values()]

    def configuration(self) -> dict[str, Any]:
        """Return the configuration in use, secrets masked."""
        config = self._vitals.config

        def configured(spec: Spec) -> dict[str, Any]:
            rows = config.settings.get(spec.key, [])
            return {"type": spec.type, "name": spec.name, "settings": settings(rows)}

        return reading(self._vitals) | {
            "host": config.host,
            "tags": config.tags,
            "listen": [each.address for each in config.listeners],
            "collectors": [configured(spec) for spec in config.specs if not spec.sink],
            "sinks": [configured(spec) for spec in config.specs if spec.sink],
        }

    def unhealthy(self) -> str:
        """Return why the loop is not doing its work."""
        return self._heartbeat.unhealthy()

    def unready(self) -> str:
        """Return what the agent is busy with instead of watching."""
        return f"the agent {self._vitals.busy}" if self._vitals.busy else ""
