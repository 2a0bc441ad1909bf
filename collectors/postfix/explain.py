"""The queues and the flow in plain language: a sentence for whatever holds something. Pure.

Each is true while Postfix runs, and while it is stopped: the directories are read all the same.
"""

from collections.abc import Iterator, Mapping

from collectors.postfix.flow import DELIVERIES, GAPS, LINES, MALFORMED, STATUSES, Flow
from collectors.postfix.queues import QUEUES, Tally
from rscollector.api import humanized

_MEANING = {
    "maildrop": "submitted on this host or requeued (postsuper -r), not picked up yet",
    "incoming": "waiting for the queue manager",
    "active": "taken up for delivery",
    "deferred": "not delivered yet, to be tried again while Postfix runs",
    "hold": "kept back until somebody releases what is there (postsuper -H)",
    "corrupt": "unreadable, kept for somebody to look at",
}
_USUAL = ("sent", "deferred", "bounced")


def explain(tallies: Mapping[str, Tally]) -> Iterator[str]:
    """Yield what the queues hold, each with the metrics that say so."""
    for queue, tally in tallies.items():
        if tally.messages:
            count, whose = f"{tally.messages} messages", "the oldest "
            if tally.messages == 1:
                count, whose = "1 message", ""
            age = f", {whose}{humanized(tally.oldest)} old" if tally.messages > tally.unread else ""
            meaning = f": {_MEANING[queue]}" if queue in _MEANING else ""
            yield f"{queue}: {count}{age}{meaning} (postfix_queue_messages)."
        if tally.unread:
            yield f"{queue}: {tally.unread} of them are not read yet (postfix_queue_unread_messages)."
    if not any(tally.messages for tally in tallies.values()):
        where = "" if set(QUEUES) <= set(tallies) else f" in {', '.join(tallies)}"
        yield f"Nothing waits{where} (postfix_queue_messages)."


def explain_flow(flow: Flow) -> Iterator[str]:
    """Yield what the log has told since it was first read."""
    if flow.value(LINES):
        counts = {status: flow.value(DELIVERIES, status=status) for status in STATUSES}
        told = ", ".join(f"{count} {status}" for status, count in counts.items() if count or status in _USUAL)
        yield (
            f"Attempts to deliver since counting began, one for each recipient: {told} "
            "(postfix_deliveries_total)."
        )
    else:
        yield (
            "Nothing was logged under this syslog_name since counting began; if mail has come since then, "
            "`log` or `syslog_name` is wrong (postfix_log_lines_total)."
        )
    if malformed := flow.value(MALFORMED):
        yield (
            f"Lines of the log in no format that is known: {malformed}; see what writes to it, and how "
            "(postfix_log_malformed_lines_total)."
        )
    if gaps := flow.value(GAPS):
        yield (
            f"Times that the place in the log was lost, so that lines may be missing: {gaps} "
            "(postfix_log_gaps_total)."
        )
    if flow.unread:
        yield f"Bytes of the log that are still to be read: {flow.unread} (postfix_log_unread_bytes)."
