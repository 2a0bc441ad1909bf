"""What an answer means for the points that were sent. Pure."""

from enum import Enum
from typing import NamedTuple


class Verdict(Enum):
    """What is to be done after an answer."""

    TAKEN = "taken"
    BAD = "bad"  # something in it: halve it, until it is alone
    LARGE = "large"  # halve it
    LATER = "later"  # try again, after a while
    NOT_NOW = "not now"  # it is asked too much: try again, after a while
    SILENCE = "silence"  # nobody answers: try again, after a while
    ALARM = "alarm"  # somebody has to change something here; try again, after a while


OF_THE_POINTS = (Verdict.BAD, Verdict.LARGE)


def verdict(status: int) -> Verdict:
    """Say what a status code means for the points that were sent."""
    match status:
        case 200 | 201 | 202 | 204:
            return Verdict.TAKEN  # OpenTSDB says 204, others what they like
        case 400 | 422:
            return Verdict.BAD  # OpenTSDB has stored the good ones among them
        case 413:
            return Verdict.LARGE
        case 408 | 425 | 429:
            return Verdict.NOT_NOW
        case _ if 500 <= status <= 599:
            return Verdict.LATER
        case _:
            return Verdict.ALARM  # 401, 403: the password; 404, 405, 3xx: the address


class Answer(NamedTuple):
    """What came back; `sentence` says why nothing did, or why it is no use, `retry_after` is in seconds."""

    verdict: Verdict
    sentence: str = ""
    retry_after: float = 0
