"""The agent's side of a worker: start, ask, kill, reap.

A worker is serial: one question is on the wire at a time, the others wait here. Whoever owns a worker (the
supervisor) is told when a question was sent, so that it can arm the deadline, when it was answered, and when
the process has been reaped. A worker that breaks the protocol is killed.
"""

import asyncio
import os
import re
import socket
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from rscollector.model.errors import FailureKind
from rscollector.model.metrics import Metric
from rscollector.runtime.children import Child, how, python
from rscollector.runtime.output import Output
from rscollector.runtime.wire import MAX_ANSWER, Garbage, Lines, Message, declared, encode, samples

_STACK_BYTES = 32 * 1024
_GRACE = 2.0
_ANSWER = {"open": "opened", "collect": "done", "close": "closed"}
_KINDS = tuple(FailureKind)
_OURS = re.compile(r'/rscollector/runtime/\w+\.py", line|"<frozen runpy>"|^Timeout \(')
_FRAME = re.compile(r'File "([^"]+)", line (\d+) in ')


@dataclass(frozen=True, slots=True)
class Question:
    """Something a worker is asked, for one instance. `rows` bounds the answer."""

    op: str
    instance: str
    seq: int
    timeout: float
    rows: int = 0
    fields: Message = field(default_factory=dict, repr=False)
    runs: str = field(default="[]", repr=False)

    def line(self) -> bytes:
        """Return the wire's form; `runs` is JSON already."""
        own = {"op": self.op, "instance": self.instance, "seq": self.seq, "timeout": self.timeout}
        message = encode({**self.fields, **own, "rows": self.rows})
        return message.rstrip(b"}\n") + b',"runs":%s}\n' % self.runs.encode("ascii")


@dataclass(slots=True)
class Answer:
    """What came back: the last message, and what was sent ahead of it."""

    message: Message = field(default_factory=dict)
    rows: list[Any] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended: by whose fault, why, and where its code was or what state it was in.

    The culprit is the instance on whose account it was killed or that was running; with None all of its
    instances are to blame, or nobody if the agent had hung up (`asked`).
    """

    asked: bool
    culprit: str | None
    reason: str
    where: str
    stack: str


class Owner(Protocol):
    """Who is told what becomes of a worker."""

    def sent(self, question: Question) -> None:
        """Arm the deadline."""

    def answered(self, worker: "Worker", question: Question, answer: Answer) -> None:
        """Take the answer."""

    def exited(self, worker: "Worker", death: Death) -> None:
        """Take note that the process is gone."""

    def said(self, worker: "Worker", line: str) -> None:
        """Log what the worker printed."""


class Worker(asyncio.Protocol):
    """One worker process. `instances` are those whose body it is; the owner adds and removes them."""

    def __init__(self, name: str, owner: Owner, *, outlives: bool = False) -> None:
        """Start the process, which may outlive this one; raises OSError when that cannot be done."""
        self.name = name
        self.instances: set[str] = set()
        self.stale = 0
        self._owner = owner
        self._waiting: deque[Question] = deque()
        self._current: Question | None = None
        self._answer = Answer()
        self._lines = Lines()
        self._bytes = 0
        self._asked = False
        self._culprit: str | None = None
        self._dying = ""
        self._state = ""
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.TimerHandle | None = None
        with ExitStack() as undo:
            self._output = Output(lambda line: owner.said(self, line))
            undo.callback(self._output.close)
            self._stack = os.memfd_create("stack")
            undo.callback(os.close, self._stack)
            self._wire, theirs = socket.socketpair()
            undo.callback(self._wire.close)
            with theirs, self._output.theirs:
                fds = (theirs.fileno(), self._stack)
                fate = "outlives" if outlives else "dies"
                command = python("rscollector.runtime.worker", name, *map(str, (*fds, os.getpid())), fate)
                self._child = Child.start(command, self._output.theirs, self._exited, fds)
            undo.pop_all()
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        self._wire.setblocking(False)
        try:
            await self._loop.create_connection(lambda: self, sock=self._wire)
        except OSError as error:
            self.kill(f"could not be reached: {error.strerror}")

    @property
    def dropped_lines(self) -> int:
        """The number of lines that it printed and that were not logged."""
        return self._output.dropped

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._child.pid

    @property
    def dying(self) -> bool:
        """Whether it answers no question any more."""
        return bool(self._dying)

    def is_busy_with(self, instance: str) -> bool:
        """Tell whether the question on the wire is this instance's."""
        return self._current is not None and self._current.instance == instance

    def ask(self, question: Question) -> None:
        """Send a question when those before it are answered."""
        self._waiting.append(question)
        self._next()

    def withdraw(self, instance: str) -> None:
        """Forget the questions of an instance that were not sent yet."""
        self._waiting = deque(each for each in self._waiting if each.instance != instance)

    def hang_up(self) -> None:
        """Close the wire, so that the worker ends; questions that come now are answered by `exited`."""
        self._asked = True
        self._dying = self._dying or "ended"
        self._close_wire()
        self._end = self._loop.call_later(_GRACE, self._child.kill)

    def _close_wire(self) -> None:
        if self._transport:
            self._transport.close()

    def kill(self, why: str = "was killed", culprit: str | None = None) -> None:
        """Kill the process group, for this reason and on this instance's account."""
        self._state = self._state or self._child.state()
        self._dying = self._dying or why
        self._culprit = self._culprit or culprit
        self._child.kill()

    def _next(self) -> None:
        if self._current or not self._waiting or self._dying or self._transport is None:
            return
        self._current = self._waiting.popleft()
        self._answer, self._bytes = Answer(), 0
        self._transport.write(self._current.line())
        self._owner.sent(self._current)

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with the questions that wait."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """Take what the worker sent; one that does not keep to the protocol is killed."""
        self._bytes += len(data)
        try:
            if self._bytes > MAX_ANSWER:
                raise Garbage(f"an answer of more than {MAX_ANSWER} bytes")  # noqa: TRY301
            for message in self._lines.feed(data):
                self._take(message)
        except Garbage as error:
            self.kill(f"sent {error}")
            self._close_wire()

    def _take(self, message: Message) -> None:
        question = self._current
        if question is None or message.get("seq") != question.seq:
            self.stale += 1
            return
        match message.get("op"):
            case "rows" if isinstance(message.get("rows"), list):
                self._answer.rows.extend(samples(message["rows"]))
                if len(self._answer.rows) > question.rows:
                    raise Garbage(f"more than the {question.rows} rows that were asked for")
            case "metrics" if isinstance(message.get("metrics"), list):
                self._answer.metrics.extend(map(declared, message["metrics"]))
            case "failed" if message.get("kind") in _KINDS and question.op != "close":
                self._finish(question, message)
            case op if op == _ANSWER[question.op]:
                self._finish(question, message)
            case op:
                raise Garbage(f"{op!r:.40} where an answer was expected")

    def _finish(self, question: Question, message: Message) -> None:
        answer, self._current = self._answer, None
        answer.message = message
        self._owner.answered(self, question, answer)
        self._next()

    # --- the end ---

    def _exited(self, code: int) -> None:
        stack = os.pread(self._stack, _STACK_BYTES, 0).decode("utf-8", "replace")
        death = Death(
            asked=self._asked,
            culprit=self._culprit or (self._current.instance if self._current else None),
            reason=f"the worker {self._dying or how(code)}",
            where=place(stack) or _STATES.get(self._state, ""),
            stack=readable(stack),
        )
        self._dying = self._dying or "exited"
        self._connecting.cancel()
        if self._end:
            self._end.cancel()
        self._close_wire()
        self._output.close()
        os.close(self._stack)
        if self._transport is None:
            self._wire.close()
        self._owner.exited(self, death)


_STATES = {"T": "it was stopped by a signal", "t": "it was being traced", "D": "in uninterruptible sleep"}


def readable(stack: str) -> str:
    """Take out of faulthandler's dump what is the same in every one: our own frames around the plugin's."""
    return "\n".join(line for line in stack.splitlines() if not _OURS.search(line))


def place(stack: str) -> str:
    """Return where the main thread was, from faulthandler's dump: "in pymongo/network.py:332"."""
    frames = [found for block in stack.split("\n\n") if (found := _FRAME.search(block))]
    return f"in {'/'.join(frames[-1][1].split('/')[-2:])}:{frames[-1][2]}" if frames else ""
