"""The numbers in plain language: sentences, trouble first, each with the metric that has it. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from collectors.dns.judge import State
from collectors.dns.report import Report, Seen
from rscollector.api import humanized

_MOST = 10
_SOON = 7 * 86_400
_SAYS = {
    State.REFUSED: "it refuses to answer ({why}): it has not the zone, or its access list refuses this host",
    State.SERVFAIL: "it cannot answer ({why}): mostly it has expired there, or was not loaded",
    State.NXDOMAIN: "it says that there is no such zone ({why})",
    State.REFERRAL: "it has not the zone, and refers {why}",
    State.NOT_AUTHORITATIVE: "it answers without authority, as a resolver does",
    State.NO_SOA: "its answer has no SOA of it{, why}",
    State.ERROR: "it answers {why}",
    State.TRUNCATED: "its answer over UDP is truncated, and no whole one comes over TCP",
    State.MALFORMED: "what comes from it is no answer{ (why)}",
    State.SILENT: "it is silent",
    State.CLOSED: "nobody listens there, or a firewall rejects it",
    State.UNREACHABLE: "it cannot be reached{ (why)}",
}


def explain(reports: Iterable[Report]) -> Iterator[str]:
    """Yield what there is to say, first what is wrong with any of the zones."""
    reports = list(reports)
    for report in reports:
        yield from _zone(report)
        servers = _servers(report)
        yield from islice(servers, _MOST)
        if more := sum(1 for _ in servers):
            yield f"{report.zone}: there is more to say of its servers, in {more} sentences."
        yield from _names(report)
        yield from _outlived(report)
    yield from map(_summary, reports)


def _zone(report: Report) -> Iterator[str]:
    zone = report.zone
    if not report.servers:
        yield f"{zone}: no server of it is known or can be asked from here (dns_zone_servers)."
    elif not report.is_up:
        yield f"{zone}: none of its {len(report.servers)} addresses answers for it (dns_zone_up)."
    if report.found.delegated is False:
        yield f"{zone} is not delegated: to the parent there is no such zone (dns_zone_delegated)."
    if not report.has_order:
        yield f"{zone}: its servers have serials of which none is the newest (RFC 1982, dns_server_serial)."
    if report.primary_up is False:
        left = ""
        if report.expiry is not None:
            left = (
                "; if those that do not reach it either, the first of them gives up in "
                f"{humanized(report.expiry)} at the earliest"
            )
        yield f"{zone}: its primary does not answer for it{left} (dns_zone_primary_up)."


def _servers(report: Report) -> Iterator[str]:
    for each in report.servers:
        on = f"{_named(each)}, asked for {report.zone}"
        if each.verdict.state is not State.AUTHORITATIVE:
            lame = ", is lame" if each.is_lame else ""
            yield f"{on}{lame}: {_why(each)} (dns_server_state)."
            continue
        if each.behind:
            where = f" {each.verdict.why}" if each.verdict.why else ""
            since = f", for {humanized(each.behind_seconds)} at least" if each.behind_seconds else ""
            yield (
                f"{on}, has the serial {each.serial}{where}, which is {each.behind} behind "
                f"{report.newest}{since} (dns_server_serial_behind)."
            )
        if each.went_back:
            yield (
                f"{on}, has gone back to an older serial; times since this worker began: {each.went_back} "
                "(dns_server_serial_went_back_total)."
            )
        yield from _signature(on, each)
        for protocol, is_up in each.protocols.items():
            if not is_up:
                yield f"{on}, does not answer for it over {protocol.upper()} (dns_server_protocol_up)."


def _signature(on: str, each: Seen) -> Iterator[str]:
    if each.signature is not None and each.signature < _SOON:
        left = each.signature
        when = f"ends in {humanized(left)}" if left > 0 else f"ended {humanized(-left)} ago"
        yield f"{on}, has a signature that {when} (dns_server_signature_expiry_seconds)."
    if each.signature_age is not None and each.signature_age < 0:
        yield (
            f"{on}, has a signature that by this host's clock is valid in {humanized(-each.signature_age)} "
            "only (dns_server_signature_age_seconds)."
        )


def _why(each: Seen) -> str:
    text, why = _SAYS[each.verdict.state], each.verdict.why
    text = text.replace("{, why}", f", {why}" if why else "").replace("{ (why)}", f" ({why})" if why else "")
    return text.replace("{why}", why)


def _named(each: Seen) -> str:
    server, address = each.target
    return address if server == address else f"{server} ({address})"


def _names(report: Report) -> Iterator[str]:
    found = report.found
    for name in (name for name, addresses in found.servers.items() if not addresses):
        if name not in found.unresolved:
            yield (
                f"{report.zone}: its server {name} has no address: the name points to nothing "
                "(dns_zone_server_addresses)."
            )
    if found.parent is not None and found.own is not None:
        for names, where, not_where in (
            (found.parent - found.own, "the parent", "the zone itself"),
            (found.own - found.parent, "the zone itself", "the parent"),
        ):
            if names:
                yield (
                    f"{report.zone}: {where} names {_listed(sorted(names))} as its server, and {not_where} "
                    "does not (dns_zone_server_listed)."
                )


def _outlived(report: Report) -> Iterator[str]:
    """Say that signatures end before a secondary without its primary, from which new ones come, gives up."""
    ends = [each.signature for each in report.servers if each.signature is not None]
    expire = report.soa.expire if report.soa else 0
    if ends and 0 < min(ends) < expire:
        yield (
            f"{report.zone}: a secondary without its primary goes on for {humanized(expire)}, and a "
            f"signature that it has now ends in {humanized(min(ends))}: unless it signs itself, it would "
            "then answer with one that has ended (dns_zone_expire_seconds)."
        )


def _summary(report: Report) -> str:
    ends = [each.signature for each in report.servers if each.signature is not None]
    signed = f"; the first signature ends in {humanized(min(ends))}" if ends and min(ends) > 0 else ""
    at = f" at the serial {report.newest}" if report.newest is not None else ""
    return (
        f"{report.zone}: {report.in_sync} of {len(report.servers)} addresses are in sync{at}{signed} "
        "(dns_zone_servers_in_sync)."
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
