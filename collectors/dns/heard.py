"""What is asked of a server, and what is heard of it, over UDP and TCP: as values. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from dns.message import Message

from collectors.dns.wire import Question

PORT = 53


class Failure(StrEnum):
    """Why there is no answer."""

    SILENT = "silent"
    CLOSED = "closed"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed"
    TRUNCATED = "truncated"
    UNASKED = "unasked"
    """This host cannot ask it: it has no route there, no IPv6, no sockets left, or may not."""


class Heard(NamedTuple):
    """What came over UDP or over TCP: a message, or why there is none and what is told of that."""

    message: Message | None
    failure: Failure | None = None
    why: str = ""
    seconds: float = 0.0

    @property
    def answers(self) -> bool:
        """Whether somebody answers, be it that there is more over TCP."""
        return self.message is not None or self.failure is Failure.TRUNCATED


@dataclass(frozen=True)
class Query:
    """Whom to ask what; over TCP as well (`tcp`), or only where the answer over UDP is truncated."""

    question: Question
    address: str
    port: int = PORT
    tcp: bool = False


class Answer(NamedTuple):
    """What came; `tcp` is None where it was not asked over TCP."""

    udp: Heard
    tcp: Heard | None

    @property
    def best(self) -> Heard:
        """The message that there is, over UDP unless TCP tells more, or the reason that tells most."""
        if self.tcp is None or (self.udp.message and not self._tells_more_over_tcp):
            return self.udp
        if self.tcp.message:
            return self.tcp
        told = {self.udp.failure: self.udp, self.tcp.failure: self.tcp}
        order = (Failure.TRUNCATED, Failure.MALFORMED, self.udp.failure)
        return next(told[each] for each in order if each in told)

    @property
    def _tells_more_over_tcp(self) -> bool:
        """Whether only over TCP the answer has EDNS, and so signatures: the first datagram may be lost."""
        udp, tcp = self.udp.message, self.tcp and self.tcp.message
        return bool(udp and tcp and udp.edns < 0 <= tcp.edns)
