"""Answers the agent's questions, one after the other: opens collectors, asks them, closes them.

At nine tenths of a deadline faulthandler writes the stacks of all threads, from a thread that needs no GIL;
the agent reads them after it has killed this process.
"""

import faulthandler
import os
import socket
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from rscollector.api import Collector, Context, PageSink, Sink
from rscollector.api.heap import give_back
from rscollector.config import registry
from rscollector.config.build import Builder, Reader
from rscollector.config.state_files import state_file
from rscollector.model.errors import FailureKind, Misconfigured, fence, kind_of, said
from rscollector.model.metrics import samples_of
from rscollector.model.stopping import SINK_CLOSES
from rscollector.model.texts import cut
from rscollector.wire import MOST_NOTES, MOST_SENTENCES, VERSION
from rscollector.wire.declarations import declaration
from rscollector.wire.lines import batches, written
from rscollector.wire.messages import (
    Close,
    Closed,
    Collect,
    Done,
    Failed,
    Hello,
    Hide,
    Metrics,
    Open,
    Opened,
    Question,
    Unknown,
    decoded,
    encoded,
    part,
)
from rscollector.worker.parcels import Parcels
from rscollector.worker.secrets import Secrets
from rscollector.worker.telling import Telling

_STACK_AT = 0.9
_ROOM = 24 * 1024
"""Bytes that the sentences of an answer may have together, and a traceback; the agent shows less of them."""
_TRACEBACK = 100  # lines
_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class _Held:
    """A collector of this process, what it was opened with, and how its runs are told."""

    collector: Collector[Any]
    opened: Open
    telling: Telling = field(default_factory=Telling)


class Server:
    """The collectors of this process, and the wire to the agent; `asked` is who was asked last."""

    def __init__(self, wire: socket.socket, stack: int, agent: int) -> None:
        self._wire = wire
        self._stack = stack
        self._agent = agent
        self._secrets = Secrets()
        self._held: dict[str, _Held] = {}
        self._parcels = Parcels()
        self._taken = 0
        self.asked = ""

    def serve(self) -> None:
        """Answer until the agent hangs up."""
        self._wire.sendall(encoded(Hello(VERSION)))
        with self._wire.makefile("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # the agent was killed while it wrote
                message = decoded(line)
                if isinstance(message, Question):
                    for answer in self._answer(message):
                        self._wire.sendall(answer)
                else:
                    self._parcels.arrived(message)

    def end(self) -> None:
        """Close what is still open: the agent is gone, and a sink keeps what has arrived."""
        for instance, held in list(self._held.items()):
            with fence():
                if not self._parcels.unknown():
                    self._give(held, self._context(held, SINK_CLOSES))
            with fence():
                self._give_back(instance)

    def _answer(self, question: Question) -> Iterator[bytes]:
        self.asked = question.instance
        faulthandler.dump_traceback_later(_STACK_AT * question.timeout, file=self._stack)
        self._taken = 0
        if unknown := self._parcels.unknown():
            yield encoded(Unknown(question.seq, unknown))
        else:
            yield from self._answered(question)
            self._parcels.clear()
        faulthandler.cancel_dump_traceback_later()
        os.ftruncate(self._stack, 0)  # it came in time after all
        os.lseek(self._stack, 0, os.SEEK_SET)

    def _answered(self, question: Question) -> Iterator[bytes]:
        with fence() as caught:
            match question:
                case Open():
                    yield from self._open(question)
                case Collect():
                    yield from self._collect(question)
                case Close():
                    yield from self._close(question)
        if caught:
            with fence():  # it has failed already, and what fails now adds nothing
                self._give_back(question.instance)
            yield encoded(self._failed(question.seq, caught[0]))

    def _open(self, question: Open) -> Iterator[bytes]:
        plugin = registry.load(question.type, question.plugin)
        read = partial(self._secrets.read, variables=question.variables)
        Reader(read).table(plugin.Settings, question.settings, ())
        if untold := self._secrets.untold():
            yield encoded(Hide(question.seq, untold))
            return
        builder = Builder(read)
        settings = builder.table(plugin.Settings, question.settings, ())
        if wrong := [*builder.faults, *builder.problems]:
            raise Misconfigured(
                "; ".join(": ".join(filter(None, (".".join(path), why))) for path, why in wrong)
            )
        self._parcels = Parcels()  # the agent tells a sink that is opened anew everything again
        held = _Held(plugin(settings), question)
        held.collector.open(self._context(held, question.timeout))
        self._held[question.instance] = held
        for array in batches(map(declaration, plugin.metrics)):
            yield part(Metrics, question.seq, array)
        yield encoded(Opened(question.seq, registry.feed_of(plugin)))

    def _collect(self, question: Collect) -> Iterator[bytes]:
        held = self._held[question.instance]
        context = self._context(held, question.timeout)
        self._give(held, context)
        samples = list(islice(samples_of(held.collector.collect(context)), question.rows))
        yield from held.telling.run(question.seq, question.layout, samples)
        wrong = context.degradation
        reason, *notes = _fitting([said(wrong) if wrong else "", *map(str, context.notes[:MOST_NOTES])])
        sentences = _fitting(context.sentences[:MOST_SENTENCES]) if question.explain else []
        kind = wrong.kind if wrong else ""
        memory, number = _resident_memory(), held.telling.number
        yield encoded(Done(question.seq, self._taken, number, memory, notes, sentences, kind, reason))
        if not question.layout:  # its first run here: all is imported by now
            give_back()

    def _close(self, question: Close) -> Iterator[bytes]:
        held = self._held.get(question.instance)
        if held:
            with fence():
                self._give(held, self._context(held, question.timeout))
        with fence():
            self._give_back(question.instance)
        yield encoded(Closed(question.seq, self._taken))

    def _give(self, held: _Held, context: Context) -> None:
        """Give a sink what others have collected, or their page."""
        if isinstance(held.collector, PageSink) and self._parcels.page is not None:
            held.collector.show(context, self._parcels.page.encode("utf-8"))
        if isinstance(held.collector, Sink):
            runs = self._parcels.runs()
            held.collector.take(context, runs)
            self._taken = len(runs)

    def _give_back(self, instance: str) -> None:
        held = self._held.pop(instance, None)
        if held:
            held.collector.close()

    def _context(self, held: _Held, timeout: float) -> Context:
        opened = held.opened
        context = Context(
            opened.name,
            timeout=timeout,
            interval=opened.interval,
            agent=self._agent,
            collect_timeout=opened.collect_timeout,
        )
        context.host, context.tags = opened.host, opened.tags
        context.state = state_file(opened.instance)
        return context

    def _failed(self, seq: int, error: Exception) -> Failed:
        kind = kind_of(error)
        reason, trace = said(error), ""
        if kind is FailureKind.BUG:
            reason = f"{type(error).__name__}: {reason}{_place(error)}"
            trace = _end_of("".join(traceback.format_exception(error)))
        (reason,) = _fitting([reason])
        return Failed(seq, self._taken, kind, reason, trace)


def _fitting(sentences: list[str]) -> list[str]:
    """Cut sentences so that they fit into a line of the wire, however many bytes their characters take."""
    most = _ROOM
    while len(written([cut(each, most) for each in sentences])) > _ROOM:
        most //= 2
    return [cut(each, most) for each in sentences]


def _end_of(trace: str) -> str:
    """Return the last whole lines of a traceback: of a line that is cut, a secret could not be masked."""
    lines = trace[-_ROOM:].splitlines()[-_TRACEBACK:]
    while len(written("\n".join(lines))) > _ROOM:
        del lines[0]
    return "\n".join(lines[len(trace) > _ROOM :])


def _resident_memory() -> int:
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE_SIZE


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({'/'.join(frames[-1].filename.split('/')[-2:])}:{frames[-1].lineno})" if frames else ""
