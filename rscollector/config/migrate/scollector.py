"""From the configuration of scollector."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from .given import Given
from .made import Migrated
from .parts import add_agent, add_bosun

_NOT_IN_PREFIX = re.compile(r"[^A-Za-z0-9_./-]")

SETTINGS = {
    "ColDir": "scripts are not run here: write a collector (docs/write-a-collector.md)",
    "Filter": "collectors are chosen by their sections, [collector.TYPE.NAME]",
    "MetricFilters": 'they name metrics of scollector; here set filter = { include = ["galera.*"] }',
    "MaxQueueLen": "what waits is bounded by size and age: see spool_size and spool_age",
    "MaxMem": "a process that is larger than [agent] max_memory is renewed",
    "PProf": "there is no profiler here; `rscollector status` and /metrics tell what the agent does",
    "IfaceExpr": "[collector.network.main] watches all interfaces but those of its ignored_interfaces",
    "UseNtlm": "there is no NTLM here: give Bosun a user and a password, or a token",
    "UserAgentMessage": "the name in requests is rscollector: tell hosts apart by the tag host",
    "LocalListener": "nothing is forwarded for others: let them send to Bosun, or keep scollector for it",
    "TagOverride": "tags of single collectors cannot be changed; those of [agent] are added to all points",
    "KeepalivedCommunity": "there is no SNMP here: [collector.vip.main] tells whether the addresses are here",
    "Process": "processes are not watched here",
    "SystemdService": "[collector.systemd.main] watches services: name them in its units, or by patterns",
    "HTTPUnit": "URLs are not checked here",
    "ICMP": "hosts are not pinged here",
    "RedisCounters": "counters in Redis are not read here",
    **dict.fromkeys(("SNMP", "MIBS", "SNMPTimeout"), "there is no SNMP here"),
    **dict.fromkeys(
        (
            *("HAProxy", "Vsphere", "AWS", "AzureEA", "ProcessDotNet", "Riak", "Github", "Elastic"),
            *("ElasticIndexFilters", "ElasticIndexFiltersInc", "RabbitMQ", "Nexpose", "GoogleAnalytics"),
            *("GoogleWebmaster", "Cadvisor", "ExtraHop", "HadoopHost", "HbaseRegions", "Oracles", "Fastly"),
            "UseSWbemServicesClient",
        ),
        "nothing does this here: keep scollector for it, with the same Host",
    ),
    # These have an equal here.
    **dict.fromkeys(("Freq", "BatchSize", "AuthToken", "MetricPrefix", "DisableSelf"), ""),
}

_OWN = ["rscollector.*", "agent.*", "sink.*"]


def translate(made: Migrated, given: Given) -> None:
    """Translate a configuration of scollector."""
    add_agent(made, _name_of_scollector(given), given.tags("Tags"), given.spelled("Tags"))
    if (seconds := given.zero_or_number("Freq")) is not None:
        made.agent["interval"] = f"{seconds}s"
    of_sink: dict[str, Any] = {
        "batch": given.zero_or_number("BatchSize"),
        "token": given.secret("AuthToken"),
        "prefix": _prefix(given),
    }
    if given.flag("DisableSelf"):
        of_sink["filter"] = {"exclude": _OWN}
    add_bosun(made, given, "Host", given.text("Host"), of_sink)
    made.add("collector", "agent", "main", {})
    for key, why in SETTINGS.items():
        if given.take(key):  # what is 0, false or empty means nothing
            given.leave_out(key, why)
    given.rest()


def _name_of_scollector(given: Given) -> str | None:
    """Return the host's name as scollector sent it: in small letters, without the domain if not FullHost."""
    name, full = given.text("Hostname"), given.flag("FullHost")
    if name is None:
        if not full:
            why = "without it the name ended at its first dot: set [agent] host if `hostname` prints one"
            given.leave_out("FullHost", why)
        return None
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return (name if full else name.partition(".")[0]).lower()
    return name


def _prefix(given: Given) -> str | None:
    text = given.text("MetricPrefix")
    if text and _NOT_IN_PREFIX.search(text):
        given.leave_out(
            "MetricPrefix", "names have letters, digits, and - _ . / only: set prefix in the sink"
        )
        return None
    return f"{text}." if text else None
