"""A worker: `python -m rscollector.runtime.worker NAME WIRE STACK AGENT FATE`, the process that may block.

It answers the agent's questions (see `wire`) one after the other. It holds collectors and their drivers, and
it may hang, crash or be killed at any time; nobody relies on it to end well. It dies with the agent, unless
it holds a sink: then it ends when that has kept what it was given.

At nine tenths of a deadline faulthandler writes the stacks of all threads into the memory file `STACK`,
from a thread that needs no GIL; the agent reads it after it has killed this process. Whatever collectors
print goes to the agent's log.
"""

import faulthandler
import json
import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from rscollector.api import Collector, Context, Metric, PageSink, Sample, Sink, Taken
from rscollector.api.programs import die_with_parent
from rscollector.config import registry
from rscollector.config.build import Builder, resolved
from rscollector.config.state_files import state_file
from rscollector.model.errors import FailureKind, Misconfigured, fence, kind_of
from rscollector.runtime.priorities import Priorities
from rscollector.runtime.wire import Message, batches, declaration, declared, encode, row, samples

_STACK_AT = 0.9
_TRACEBACK = 8000
_NOTES = 10
_NOTE = 1000
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Server:
    """The collectors of this process, and the wire to the agent."""

    def __init__(self, wire: socket.socket, stack: int, agent: int) -> None:
        self._wire = wire
        self._stack = stack
        self._agent = agent
        self._collectors: dict[str, Collector[Any]] = {}
        self._secrets: set[str] = set()
        self._told: dict[str, Metric] = {}
        self._answers = {"open": self._open, "collect": self._collect, "close": self._close}

    def serve(self) -> None:
        """Answer until the agent hangs up."""
        with self._wire.makefile("rb") as lines:
            for line in lines:
                for answer in self._answer(json.loads(line)):
                    self._wire.sendall(answer)

    def end(self) -> None:
        """Close what is still open: the agent is gone, and a sink has something to keep."""
        for instance in list(self._collectors):
            with fence():
                self._forget(instance)

    def _answer(self, question: Message) -> Iterator[bytes]:
        faulthandler.dump_traceback_later(_STACK_AT * question["timeout"], file=self._stack)
        with fence() as caught:
            yield from self._answers[question["op"]](question)
        if caught:
            with fence():  # it has failed already, and what fails now adds nothing
                self._forget(question["instance"])
            yield encode({"op": "failed", "seq": question["seq"], **self._failure(caught[0])})
        faulthandler.cancel_dump_traceback_later()
        os.ftruncate(self._stack, 0)  # it came in time after all
        os.lseek(self._stack, 0, os.SEEK_SET)

    def _open(self, question: Message) -> Iterator[bytes]:
        plugin = registry.load(question["type"], question["plugin"])
        builder = Builder(self._remembered)
        settings = builder.table(plugin.Settings, question["settings"], ())
        if builder.faults:
            raise Misconfigured(f"the settings do not fit: {builder.faults[0].reason}")
        collector = self._collectors[question["instance"]] = plugin(settings)
        collector.open(self._context(question))
        yield from batches("metrics", question["seq"], "metrics", map(declaration, plugin.metrics))
        yield encode({"op": "opened", "seq": question["seq"]})

    def _collect(self, question: Message) -> Iterator[bytes]:
        context = self._context(question)
        self._give(question, context)
        collected = self._collectors[question["instance"]].collect(context)
        yield from batches("rows", question["seq"], "rows", map(_row, islice(collected, question["rows"])))
        notes = [self.masked(str(note))[:_NOTE] for note in context.notes[:_NOTES]]
        yield encode({"op": "done", "seq": question["seq"], "memory": _resident_memory(), "notes": notes})

    def _give(self, question: Message, context: Context) -> None:
        """Give a sink what others have collected, or their page."""
        self._told.update((metric.name, metric) for metric in map(declared, question.get("metrics", ())))
        sink = self._collectors.get(question["instance"])
        if isinstance(sink, PageSink) and "page" in question:
            sink.show(context, question["page"].encode("utf-8"))
        if isinstance(sink, Sink):
            sink.take(context, [self._taken(*run) for run in question["runs"]])

    def _taken(self, second: int, name: str, rows: list[Any]) -> Taken:
        return Taken(
            second,
            name,
            [(self._told[metric], tuple(values), value) for metric, values, value in samples(rows)],
        )

    def _close(self, question: Message) -> Iterator[bytes]:
        with fence():
            self._give(question, self._context(question))
        with fence():
            self._forget(question["instance"])
        yield encode({"op": "closed", "seq": question["seq"]})

    def _forget(self, instance: str) -> None:
        collector = self._collectors.pop(instance, None)
        if collector:
            collector.close()

    def _context(self, question: Message) -> Context:
        context = Context(
            question["name"],
            timeout=question["timeout"],
            interval=question["interval"],
            agent=self._agent,
            collect_timeout=question["collect_timeout"],
        )
        context.host, context.tags = question.get("host", ""), question.get("tags", {})
        context.state = state_file(question["instance"])
        return context

    def _remembered(self, table: object) -> str:
        text = resolved(table)
        if len(text) >= 4:  # masking every "a" would hide the message and not the secret
            self._secrets.add(text)
        return text

    def _failure(self, error: Exception) -> Message:
        kind = kind_of(error)
        reason, trace = str(error) or type(error).__name__, ""
        if kind is FailureKind.BUG:
            reason = f"{type(error).__name__}: {reason}{_place(error)}"
            trace = self.masked("".join(traceback.format_exception(error)))[-_TRACEBACK:]
        return {"kind": kind.value, "reason": self.masked(reason)[:500], "traceback": trace}

    def masked(self, text: str) -> str:
        """Return a text without the secrets that this process was given."""
        for secret in sorted(self._secrets, key=len, reverse=True):  # one may be the beginning of another
            text = text.replace(secret, "***")
        return text


def _resident_memory() -> int:
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE


def _row(sample: object) -> list[Any]:
    if not isinstance(sample, Sample):
        raise TypeError(f"collect gave {sample!r:.100}, which is no Sample")
    return row(sample)


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({'/'.join(frames[-1].filename.split('/')[-2:])}:{frames[-1].lineno})" if frames else ""


class _Masking(Priorities):
    """Takes the secrets out of what collectors and drivers log."""

    def __init__(self, server: Server) -> None:
        super().__init__("%(name)s: %(message)s")
        self._server = server

    def format(self, record: logging.LogRecord) -> str:
        return self._server.masked(super().format(record))


def _leave_ends_to_the_agent() -> None:
    """Do nothing at SIGTERM, which a service manager sends to everybody: the agent will say when to end.

    With a handler, and not ignored: what a collector starts would inherit that.
    """
    signal.signal(signal.SIGTERM, lambda *_: None)


def _be_the_first_to_go() -> None:
    """Have the kernel, when memory is short, kill a worker rather than the agent that would restart it."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")


def main(arguments: list[str]) -> int:
    """Serve one wire to its end."""
    _name, wire, stack, agent, fate = arguments
    if fate == "dies" and not die_with_parent(int(agent)):
        return 1
    _be_the_first_to_go()
    _leave_ends_to_the_agent()
    for inherited in (int(wire), int(stack)):
        os.set_inheritable(inherited, False)
    faulthandler.enable(int(stack))  # a segmentation fault shows its place too
    server = Server(socket.socket(fileno=int(wire)), int(stack), int(agent))
    handler = logging.StreamHandler()
    handler.setFormatter(_Masking(server))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    try:
        server.serve()
    except ConnectionError:
        return 1  # the agent is gone, and so is everyone who could be told
    finally:
        server.end()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
