"""What Bosun's page of a host shows, under the names that scollector gave it: system, model, interfaces.

It is read from the kernel and from /etc/os-release, and is bounded: of the interfaces, those that are
hardware, a bond, or have an address that others can reach. Containers come and go with interfaces of ever
new names, and Bosun keeps each for ever.
"""

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rscollector.api import Context, one_line
from rscollector.kit import netlink, rtnetlink
from rscollector.kit.optional import optional
from rscollector.kit.rtnetlink import IFF_LOOPBACK, Address, Link
from rscollector.sinks.bosun.metadata import Entry
from rscollector.sinks.bosun.opentsdb import legal

_MOST_INTERFACES = 64
_MOST_ADDRESSES = 64  # of an interface
_LONGEST = 300
_LINK_LOCAL = 253  # RT_SCOPE_LINK; a host's own are above that
_DMI = {"manufacturer": "sys_vendor", "model": "product_name", "serialNumber": "product_serial"}


def entries(context: Context) -> list[Entry]:
    """Return what is known of this host. What cannot be read is left out; the interfaces with a note."""
    told = [_entry(context.host, name, value) for name, value in _facts(context) if value]
    with optional(context, "the interfaces on Bosun's page of this host"):
        found = _interfaces(
            netlink.links(context), netlink.addresses(context), context.path("/sys/class/net")
        )
        for interface, facts in found:
            told += [_entry(context.host, name, value, interface) for name, value in facts.items() if value]
    return told


def _entry(host: str, name: str, value: Any, interface: str = "") -> Entry:
    tags = {"host": legal(host)} | ({"iface": legal(interface)} if interface else {})
    return {"metric": "", "tags": tags, "name": name, "value": value}


def _facts(context: Context) -> Iterator[tuple[str, Any]]:
    yield "uname", one_line(" ".join(os.uname()), _LONGEST)
    system = _read(context.path("/etc/os-release")) or _read(context.path("/usr/lib/os-release"))
    found = re.search(r"^PRETTY_NAME=([\"']?)(.*)\1\s*$", system, re.MULTILINE)
    yield "version", one_line(found[2], _LONGEST) if found else ""
    for name, file in _DMI.items():  # of a serial number only root may know
        yield name, one_line(_read(context.path(f"/sys/class/dmi/id/{file}")), _LONGEST)
    total = re.search(r"^MemTotal:\s*(\d+) kB$", _read(context.path("/proc/meminfo")), re.MULTILINE)
    yield "memoryTotal", int(total[1]) * 1024 if total else 0


def _interfaces(
    links: Sequence[Link], addresses: Sequence[Address], directory: Path
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the interfaces that are told, the kernel's first ones first, each with its facts."""
    names = {link.ifindex: os.fsdecode(link.name) for link in links}
    texts: defaultdict[int, list[str]] = defaultdict(list)
    reachable = {each.ifindex for each in addresses if each.scope < _LINK_LOCAL}
    for each in addresses:
        texts[each.ifindex].append(f"{rtnetlink.address(each.local)}/{each.prefix}")
    left = _MOST_INTERFACES
    for link in sorted(links, key=lambda link: link.ifindex):
        name = names[link.ifindex]
        place = directory / name
        lasting = link.ifindex in reachable or any((place / each).exists() for each in ("device", "bonding"))
        if link.flags & IFF_LOOPBACK or not lasting or not left:
            continue
        left -= 1
        mac = link.attributes.get(rtnetlink.IFLA_ADDRESS, b"")
        master = rtnetlink.number(link.attributes.get(rtnetlink.IFLA_MASTER, bytes(4)))
        speed = _read(place / "speed").strip()
        yield (
            name,
            {
                "name": one_line(name),
                "mac": mac.hex().upper() if any(mac) else "",
                "addresses": json.dumps(sorted(texts[link.ifindex])[:_MOST_ADDRESSES]),
                "speed": int(speed) * 1_000_000 if speed.isdecimal() else 0,  # -1 without a link
                "master": one_line(names.get(master, "")),
            },
        )


def _read(file: Path) -> str:
    with suppress(OSError), file.open("rb") as opened:
        return opened.read(1 << 16).decode("utf-8", "replace")
    return ""
