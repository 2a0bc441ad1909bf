"""The queues and the flow in plain language: a sentence for whatever holds something. Pure."""

from collections.abc import Iterator, Mapping

from collectors.postfix.flow import DELIVERIES, LINES, Flow
from collectors.postfix.queues import Tally

_MEANING = {
    "maildrop": "were submitted here and not picked up yet",
    "incoming": "have come and wait for the queue manager",
    "active": "are being delivered",
    "deferred": "could not be delivered yet and are tried again",
    "hold": "are kept back until somebody releases them (postsuper -H)",
    "corrupt": "cannot be read and are kept for somebody to look at",
}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def explain(tallies: Mapping[str, Tally]) -> Iterator[str]:
    """Yield what the queues hold, each with the metrics that say so."""
    for queue, tally in tallies.items():
        if tally.messages:
            oldest = f", the oldest for {_time(tally.oldest)}" if tally.messages > tally.unread else ""
            count = "1 message" if tally.messages == 1 else f"{tally.messages} messages"
            meaning = _MEANING.get(queue, "are there")
            yield f"{queue}: {count}{oldest}: they {meaning} (postfix_queue_messages)."
        if tally.unread:
            yield f"{queue}: {tally.unread} of them were not read yet (postfix_queue_unread_messages)."
    if not any(tally.messages for tally in tallies.values()):
        yield "Nothing waits (postfix_queue_messages)."


def explain_flow(flow: Flow) -> Iterator[str]:
    """Yield what the log has told since it was first read."""
    if not flow.value(LINES):
        yield "Nothing was logged since counting began; the agent goes on counting (postfix_log_lines_total)."
        return
    told = ", ".join(
        f"{flow.value(DELIVERIES, status=status)} {status}" for status in ("sent", "deferred", "bounced")
    )
    yield f"Deliveries since counting began: {told} (postfix_deliveries_total)."


def _time(seconds: float) -> str:
    for unit, name in ((_DAY, "days"), (_HOUR, "hours"), (_MINUTE, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} seconds"
