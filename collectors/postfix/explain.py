"""The queues and the flow in plain language: a sentence for whatever holds something. Pure.

Each is true while Postfix runs, and while it is stopped: the directories are read all the same.
"""

from collections.abc import Iterator, Mapping

from collectors.postfix.flow import DELIVERIES, GAPS, LINES, MALFORMED, STATUSES, Flow
from collectors.postfix.queues import QUEUES, Tally

_MEANING = {
    "maildrop": "were submitted here or requeued (postsuper -r), and not picked up yet",
    "incoming": "have come and wait for the queue manager",
    "active": "were taken up for delivery",
    "deferred": "could not be delivered yet and are tried again while Postfix runs",
    "hold": "are kept back until somebody releases them (postsuper -H)",
    "corrupt": "cannot be read and are kept for somebody to look at",
}
_USUAL = ("sent", "deferred", "bounced")
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
        where = "" if set(QUEUES) <= set(tallies) else f" in {', '.join(tallies)}"
        yield f"Nothing waits{where} (postfix_queue_messages)."


def explain_flow(flow: Flow) -> Iterator[str]:
    """Yield what the log has told since it was first read."""
    if flow.value(LINES):
        counts = {status: flow.value(DELIVERIES, status=status) for status in STATUSES}
        told = ", ".join(f"{count} {status}" for status, count in counts.items() if count or status in _USUAL)
        yield f"Deliveries since counting began: {told} (postfix_deliveries_total)."
    else:
        yield (
            "Nothing was logged since counting began under this syslog_name; the agent goes on counting "
            "(postfix_log_lines_total)."
        )
    if malformed := flow.value(MALFORMED):
        yield (
            f"Lines that have no form known of a syslog daemon: {malformed}; what writes to this log, and in "
            "which format (postfix_log_malformed_lines_total)?"
        )
    if gaps := flow.value(GAPS):
        yield f"Times that lines may be missing from this: {gaps} (postfix_log_gaps_total)."
    if flow.unread:
        yield f"Bytes of the log that are still to be read: {flow.unread} (postfix_log_unread_bytes)."


def _time(seconds: float) -> str:
    for unit, name in ((_DAY, "days"), (_HOUR, "hours"), (_MINUTE, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} seconds"
