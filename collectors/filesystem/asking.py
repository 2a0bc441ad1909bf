"""Who is asked when: no file system that hangs may keep the others, or the collector, from their answers.

What needs a server or a daemon has a child of its own, and all of them are started together; the local ones
share one, and another child goes on with the rest when that does not. A child that waits is left alone: as
long as it does no second one is asked, and when its answer comes, or its end, the question is asked anew.
Nobody waits for the end of a child. One that cannot be killed is left to the agent, which adopts and reaps
it; its process id is in the state file, so that the next worker knows of it.
"""

import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from collectors.filesystem.findings import Answer, Waiting
from collectors.filesystem.mountinfo import Mount
from collectors.filesystem.question import Question, one_has_ended
from collectors.filesystem.systems import System
from rscollector.api import Context, Unavailable, replace_file
from rscollector.kit.boot import BOOT_ID, boot_id

_MOST, _MOST_LOCAL = 64, 8
"""Children at a time, and how many more there may be for local file systems."""
_SHARE, _SILENCE = 0.5, 0.25
"""Of a collect's time: how much answers are waited for; of that, how much one may hold up the next."""
_TURN, _GONE = 0.02, 0.2
_CHANNEL = re.compile(r"[A-Za-z_]\w{1,79}", re.ASCII)


class Asking:
    """The children of this worker, and those that an earlier one has left."""

    def __init__(self, context: Context) -> None:
        self._waiting: dict[str, Question] = {}
        self._running: list[Question] = []
        self._ending: list[Question] = []
        self._kept = _Kept(context)

    def ask(self, context: Context, systems: Sequence[System]) -> dict[str, Answer | Waiting]:
        """Ask all that can be asked; what was not asked, for want of room or time, is not in the answer.

        Raises Unavailable where no child can be started.
        """
        there = {each.key: each for each in systems if each.mount and not each.refused}
        self._waiting |= self._kept.taken_up(there)
        self._look(there)
        answers: dict[str, Answer | Waiting] = dict(
            self._asked([each for key, each in there.items() if key not in self._waiting], context)
        )
        answers |= {key: _as_waiting(question) for key, question in self._waiting.items()}
        self._kept.keep(self._waiting, context)
        return answers

    def close(self) -> None:
        """Kill the children; what does not end by that is left."""
        left = [*self._waiting.values(), *self._running, *self._ending]
        for each in left:
            each.kill()
        until = time.monotonic() + _GONE
        while (left := _those_that_live(left)) and time.monotonic() < until:
            one_has_ended([each.pidfd for each in left], _TURN)
        for each in left:
            each.forget()

    def _look(self, there: dict[str, System]) -> None:
        """See which questions wait no more: answered, ended, or about what is mounted no more."""
        for key, question in list(self._waiting.items()):
            if key not in there or question.has_ended() or any(question.answers()):
                question.kill()
                self._ending.append(self._waiting.pop(key))
        self._ending = _those_that_live(self._ending)

    def _asked(self, systems: Sequence[System], context: Context) -> Iterator[tuple[str, Answer]]:
        """Start the children, and yield what they answer in time; those that do not wait from now on."""
        alone = [mount for each in systems if each.alone and (mount := each.mount)]
        local = [mount for each in systems if not each.alone and (mount := each.mount)]
        self._start(local, _MOST + _MOST_LOCAL)
        number = max(0, min(len(alone), _MOST - self._number()))
        for each in range(number):
            self._start(alone[each::number], _MOST)
        seconds = context.budget() * _SHARE
        until = time.monotonic() + seconds
        while self._running:
            for question in tuple(self._running):
                yield from self._heard(question, seconds * _SILENCE)
            if not self._running or time.monotonic() > until:
                break
            one_has_ended([each.pidfd for each in self._running], _TURN)
        self._leave_those_that_wait()

    def _heard(self, question: Question, silence: float) -> Iterator[tuple[str, Answer]]:
        """Yield what a child has answered; where it is silent, have another one ask what is behind."""
        ended = question.has_ended()
        yield from question.answers()
        if ended:
            question.forget()
            self._running.remove(question)
        elif time.monotonic() - question.since > silence and self._start(question.asked[1:], _MOST):
            del question.asked[1:]

    def _leave_those_that_wait(self) -> None:
        for question in self._running:
            if question.asked:
                self._waiting[question.asked[0].device] = question
            else:
                self._ending.append(question)
        self._running = []

    def _start(self, mounts: Sequence[Mount], most: int) -> bool:
        """Start a child where there are fewer than so many, waiting ones included."""
        if not mounts or self._number() >= most:
            return False
        try:
            self._running.append(Question.ask(mounts))
        except OSError as error:
            raise Unavailable(f"cannot start a child that asks the file systems: {error.strerror}") from error
        return True

    def _number(self) -> int:
        return len(self._waiting) + len(self._running) + len(self._ending)


class _Kept:
    """The state file: which children wait, so that the next worker of this boot asks no second one."""

    def __init__(self, context: Context) -> None:
        self._path = context.state
        self._boot = boot_id(context.path(BOOT_ID))
        self._text = ""
        self._before = self._read()

    def taken_up(self, there: dict[str, System]) -> dict[str, Question]:
        """Return the children of an earlier worker that still wait, the first time."""
        before, self._before = self._before, {}
        found = {key: _left(kept, there[key].mount) for key, kept in before.items() if key in there}
        return {key: question for key, question in found.items() if question}

    def keep(self, waiting: dict[str, Question], context: Context) -> None:
        """Write down which children wait, if they are others than before."""
        kept = {key: [each.pid, each.start, each.since] for key, each in waiting.items()}
        text = json.dumps({"boot": self._boot, "waiting": kept}) if kept else ""
        if self._path is None or text == self._text:
            return
        try:
            replace_file(self._path, text.encode("ascii"))
            self._text = text
        except OSError as error:
            context.note(f"{self._path}: {error.strerror}: the next worker will ask again what hangs")

    def _read(self) -> dict[str, Any]:
        try:
            self._text = self._path.read_text("ascii") if self._path else ""
            kept = json.loads(self._text) if self._text else {}
            return dict(kept["waiting"]) if kept and kept["boot"] == self._boot else {}
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return {}


def _left(kept: Any, mount: Mount | None) -> Question | None:
    try:
        pid, start, since = kept
        return Question.left(int(pid), int(start), float(since), mount) if mount else None
    except (ValueError, TypeError, OverflowError):
        return None  # the file is damaged


def _those_that_live(questions: Iterable[Question]) -> list[Question]:
    """Return those that have not ended; the others are reaped and forgotten."""
    alive = []
    for each in questions:
        if each.has_ended():
            each.forget()
        else:
            alive.append(each)
    return alive


def _as_waiting(question: Question) -> Waiting:
    channel = _channel(question.pid)  # before it is known to live: its number may be another process's by now
    return Waiting(time.monotonic() - question.since, "" if question.has_ended() else channel)


def _channel(pid: int) -> str:
    """Return where a process waits in the kernel, "" where that is not told."""
    try:
        text = Path(f"/proc/{pid}/wchan").read_text("ascii", "replace")
    except OSError:
        return ""
    return text if _CHANNEL.fullmatch(text) else ""
