"""The agent's side of one worker: the process, the questions to it, its answers, its end.

A worker is serial: one question is on the wire at a time, the others wait here. Whoever has started it is
told when a question was sent, so that it can arm the deadline, when it was answered, and when the process has
been reaped. A worker that breaks the protocol is killed.
"""

import asyncio
import os
import re
import socket
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol, Self

from rscollector.model.errors import FailureKind
from rscollector.model.masks import Masks
from rscollector.model.metrics import Metric
from rscollector.model.stopping import WORKER_ENDS
from rscollector.model.texts import LONGEST_LINE, LONGEST_NOTE, LONGEST_REASON, block, one_line
from rscollector.runtime.children import Child, how, python
from rscollector.runtime.output import Output
from rscollector.wire import MOST_NOTES, MOST_SENTENCES, VERSION, messages
from rscollector.wire.declarations import declared
from rscollector.wire.lines import MAX_ANSWER, Garbage, Lines
from rscollector.wire.messages import Close, Closed, Collect, Done, Failed, Open, Opened, decoded, encoded

_STACK_BYTES = 32 * 1024
_MOST_SECRETS = 2000  # lines of secrets that a collector may have
_LAST = {Open: Opened, Collect: Done, Close: Closed}
_OURS = re.compile(r'/rscollector/(?:worker|wire)/\w+\.py", line|"<frozen runpy>"|^Timeout \(')
_FRAME = re.compile(r'File "([^"]+)", line (\d+) in ')
_OTHER_VERSION = (
    "speaks version {} of the wire, the agent version {}: the package was upgraded; "
    "restart the agent (systemctl restart rscollector)"
)


class Question(NamedTuple):
    """What a worker is asked; for a sink, `parcel` makes the lines that go ahead of it, when it is sent."""

    message: messages.Question
    parcel: Callable[[], bytes] = bytes

    @property
    def instance(self) -> str:
        """The collector that is asked."""
        return self.message.instance


Last = Opened | Done | Failed | Closed
"""What ends an answer."""


@dataclass(slots=True)
class Heard:
    """What was sent ahead of the last message. `rows` is a new layout."""

    metrics: list[Metric] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended: by whose fault, why, and where its code was or what state it was in.

    The culprit is the instance on whose account it was killed or that was running; with None all of its
    instances are to blame.
    """

    culprit: str | None
    reason: str
    where: str
    stack: str


class Owner(Protocol):
    """Who is told what becomes of a worker."""

    def sent(self, question: Question) -> None:
        """Arm the deadline."""

    def answered(self, worker: "WorkerProcess", question: Question, last: Last, heard: Heard) -> None:
        """Take the answer; raises Garbage where it does not fit."""

    def layouts(self, instance: str, numbers: list[Any]) -> bytes:
        """Return the lines that tell a sink's worker of layouts."""

    def exited(self, worker: "WorkerProcess", death: Death) -> None:
        """Take note that the process is gone."""

    def said(self, worker: "WorkerProcess", line: str) -> None:
        """Log what the worker printed."""


class WorkerProcess(asyncio.Protocol):
    """One worker. Made by `start`; `death` is how it ended, once its process has been reaped.

    It `is_fresh` until its first collector has collected. `masks` has the secrets that it has read: what
    comes from it is masked, made one line and bounded here, before anybody keeps it.
    """

    def __init__(self, name: str, owner: Owner) -> None:
        self.name = name
        self.death: Death | None = None
        self.is_fresh = True
        self.memory = 0
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Question] = deque()
        self._current: Question | None = None
        self._asked_again = False
        self._heard = Heard()
        self._lines = Lines()
        self._bytes = self._hidden = 0
        self._culprit: str | None = None
        self._dying = ""
        self._state = ""
        self.masks = Masks()
        self._end: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport
        self._output: Output
        self._child: Child
        self._stack: int

    @classmethod
    async def start(cls, name: str, owner: Owner, *, outlives: bool = False) -> Self:
        """Start a process, which may outlive this one. Raises OSError when that cannot be done."""
        self = cls(name, owner)
        with ExitStack() as undo:
            self._output = Output(self._said)
            undo.callback(self._output.close)
            self._stack = os.memfd_create("stack")
            undo.callback(os.close, self._stack)
            wire, theirs = socket.socketpair()
            undo.callback(theirs.close)
            undo.callback(wire.close)
            wire.setblocking(False)
            await self._loop.create_connection(lambda: self, sock=wire)
            undo.callback(self._transport.close)
            with theirs, self._output.theirs:
                fds = (theirs.fileno(), self._stack)
                fate = "outlives" if outlives else "dies"
                command = python("rscollector.worker", name, *map(str, (*fds, os.getpid())), fate)
                self._child = Child.start(command, self._output.theirs, self._exited, fds=fds)
            undo.pop_all()
        return self

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
        """Close the wire, so that the worker ends; what was not asked yet is not asked any more."""
        self._dying = self._dying or "ended"
        self._transport.close()
        if self._end is None:
            self._end = self._loop.call_later(WORKER_ENDS, self._child.kill)

    def kill(self, why: str = "was killed", culprit: str | None = None) -> None:
        """Kill the process group, for this reason and on this instance's account."""
        self._state = self._state or self._child.state()
        self._dying = self._dying or why
        self._culprit = self._culprit or culprit
        self._child.kill()

    def _next(self) -> None:
        if self._current or not self._waiting or self._dying:
            return
        self._current = self._waiting.popleft()
        self._heard, self._bytes, self._hidden, self._asked_again = Heard(), 0, 0, False
        self._transport.write(self._current.parcel() + encoded(self._current.message))
        self._owner.sent(self._current)

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take what the worker sent; one that does not keep to the protocol is killed."""
        self._bytes += len(data)
        asked = self._current
        try:
            if self._bytes > MAX_ANSWER:
                raise Garbage(f"an answer of more than {MAX_ANSWER} bytes")  # noqa: TRY301
            for line in self._lines.feed(data):
                asked = self._current
                self._take(decoded(line))
        except Garbage as error:
            self.kill(f"sent {error}", asked.instance if asked else None)
            self._transport.close()

    def _take(self, message: Any) -> None:
        question = self._current
        if isinstance(message, messages.Hello):
            self._greeted(message)
        elif isinstance(message, messages.Parcel):
            raise Garbage(f"{type(message).__name__.lower()!r} where an answer was expected")
        elif question is None or message.seq != question.message.seq:
            return  # the answer to a question that was given up
        else:
            self._take_answer(question, message)

    def _greeted(self, hello: messages.Hello) -> None:
        """See whether the worker is of this agent's version; of another one nothing more is believed."""
        if hello.wire == VERSION:
            return
        self._dying = _OTHER_VERSION.format(hello.wire, VERSION)
        unanswered = [self._current, *self._waiting] if self._current else [*self._waiting]
        self._current = None
        self._waiting.clear()
        for question in unanswered:
            failed = Failed(
                question.message.seq, 0, FailureKind.MISCONFIGURED, f"the worker {self._dying}", ""
            )
            self._owner.answered(self, question, failed, Heard())
        self.hang_up()

    def _take_answer(self, question: Question, message: Any) -> None:
        match message:
            case messages.Rows(rows=rows):
                self._heard.rows.extend(rows)
                self._bound(question, self._heard.rows)
            case messages.Values(values=values):
                self._heard.values.extend(values)
                self._bound(question, self._heard.values)
            case messages.Metrics(metrics=metrics):
                self._heard.metrics.extend(map(declared, metrics))
            case messages.Hide(texts=texts) if isinstance(question.message, Open):
                self._hide(question, texts)
            case messages.Unknown(layouts=layouts) if not self._asked_again:
                self._asked_again = True
                told = self._owner.layouts(question.instance, layouts)
                self._transport.write(told + encoded(question.message))
            case Failed() if not isinstance(question.message, Close):
                self._finish(question, message)
            case Opened() | Done() | Closed() if type(message) is _LAST[type(question.message)]:
                self._finish(question, message)
            case _:
                raise Garbage(f"{type(message).__name__.lower()!r} where an answer was expected")

    def _hide(self, question: Question, texts: list[Any]) -> None:
        self._hidden += len(texts)
        if self._hidden > _MOST_SECRETS or not all(isinstance(text, str) for text in texts):
            raise Garbage(f"more than {_MOST_SECRETS} secrets, or some that are no text")
        self.masks.add(texts)
        self._transport.write(encoded(question.message))

    def _bound(self, question: Question, told: list[Any]) -> None:
        most = question.message.rows if isinstance(question.message, Collect) else 0
        if len(told) > most:
            raise Garbage(f"more than the {most} rows that were asked for")

    def _finish(self, question: Question, last: Last) -> None:
        self._current = None
        self._owner.answered(self, question, self._shown(last), self._heard)
        self._next()

    def _shown(self, last: Last) -> Last:
        """Have the sentences of an answer fit to be kept and shown."""
        match last:
            case Failed(reason=reason, traceback=trace):
                trace = "\n".join(block(trace, self.masks.masked))
                return replace(last, reason=self._sentence(reason), traceback=trace)
            case Done(notes=notes, sentences=sentences, reason=reason):
                notes = [self._sentence(str(note), LONGEST_NOTE) for note in notes[:MOST_NOTES]]
                sentences = [self._sentence(str(each), LONGEST_NOTE) for each in sentences[:MOST_SENTENCES]]
                return replace(last, notes=notes, sentences=sentences, reason=self._sentence(reason))
        return last

    def _sentence(self, text: str, most: int = LONGEST_REASON) -> str:
        return one_line(text, most, self.masks.masked)

    def _said(self, line: str) -> None:
        self._owner.said(self, self._sentence(line, LONGEST_LINE))

    # --- the end ---

    def _exited(self, code: int) -> None:
        stack = os.pread(self._stack, _STACK_BYTES, 0).decode("utf-8", "replace")
        self.death = Death(
            culprit=self._culprit or (self._current.instance if self._current else None),
            reason=self._sentence(f"the worker {self._dying or how(code)}"),
            where=self._sentence(place(stack)) or _STATES.get(self._state, ""),
            stack="\n".join(block(readable(stack), self.masks.masked)),
        )
        self._dying = self._dying or "exited"
        if self._end:
            self._end.cancel()
        self._transport.close()
        self._output.close()
        os.close(self._stack)
        self._owner.exited(self, self.death)


_STATES = {"T": "it was stopped by a signal", "t": "it was being traced", "D": "in uninterruptible sleep"}


def readable(stack: str) -> str:
    """Take out of faulthandler's dump what is the same in every one: our own frames around the plugin's."""
    return "\n".join(line for line in stack.splitlines() if not _OURS.search(line))


def place(stack: str) -> str:
    """Return where the main thread was, from faulthandler's dump: "in pymongo/network.py:332"."""
    frames = [found for block in stack.split("\n\n") if (found := _FRAME.search(block))]
    return f"in {'/'.join(frames[-1][1].split('/')[-2:])}:{frames[-1][2]}" if frames else ""
