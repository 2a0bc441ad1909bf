"""A kernel that says what a test wants: links as netlink messages, made by hand or of what ip(8) has said."""

import json
import struct
from pathlib import Path

from collectors.network import Network
from rscollector.kit import rtnetlink
from rscollector.testing import FakeContext, collect, values

RECORDINGS = Path(__file__).parent / "recordings/linux-6.1-uml"
FLAGS = {"UP": 0x1, "LOOPBACK": 0x8, "MASTER": 0x400, "SLAVE": 0x800, "LOWER_UP": 0x10000}
COUNTERS = (
    "rx packets", "tx packets", "rx bytes", "tx bytes", "rx errors", "tx errors", "rx dropped", "tx dropped",
    "rx multicast", "tx collisions", "rx length_errors", "rx over_errors", "rx crc_errors", "rx frame_errors",
    "rx fifo_errors", "rx missed_errors", "tx aborted_errors", "tx carrier_errors", "tx fifo_errors",
    "tx heartbeat_errors", "tx window_errors", "rx compressed", "tx compressed", "rx nohandler", "rx otherhost",
)  # fmt: skip
MODES = {"balance-rr": 0, "active-backup": 1, "802.3ad": 4}
MII = {"UP": 0, "GOING_DOWN": 1, "DOWN": 2, "GOING_BACK": 3}


def attribute(kind, payload):
    """Return one attribute: a number has 32 bits, a text its NUL, a list is nested."""
    if isinstance(payload, list):
        payload = b"".join(payload)
    elif isinstance(payload, str):
        payload = payload.encode() + b"\0"
    elif isinstance(payload, int):
        payload = struct.pack("=I", payload)
    return struct.pack("=HH", len(payload) + 4, kind) + payload + b"\0" * (-len(payload) % 4)


def link(index, name, *more, flags=("UP", "LOWER_UP"), counted=()):
    """Return the message of a link; `counted` are its counters by their places, or {} for none of them."""
    parts = [attribute(3, name), *more]
    if counted != {}:
        counters = [dict(counted).get(place, 0) for place in range(25)]
        parts.append(attribute(23, struct.pack("=25Q", *counters)))
    bits = sum(FLAGS[each] for each in flags)
    payload = struct.pack("=BxHiII", 0, 1, index, bits, 0) + b"".join(parts)
    return rtnetlink.Message(rtnetlink.RTM_NEWLINK, 2, 1, 0, payload)


def info(kind="", data=(), slave_kind="", slave_data=()):
    """Return IFLA_LINKINFO."""
    parts = [attribute(1, kind), attribute(2, list(data))] if kind else []
    parts += [attribute(4, slave_kind), attribute(5, list(slave_data))] if slave_kind else []
    return attribute(18, parts)


def _bond(data, indexes):
    yield attribute(1, bytes([MODES[data["mode"]]]))
    if "active_slave" in data:
        yield attribute(2, indexes[data["active_slave"]])
    yield attribute(18, data["min_links"])
    if "ad_info" in data:
        ad_info = data["ad_info"]
        shorts = ("aggregator", "num_ports", "actor_key", "partner_key")
        parts = [attribute(1 + place, struct.pack("=H", ad_info[each])) for place, each in enumerate(shorts)]
        yield attribute(23, [*parts, attribute(5, bytes.fromhex(ad_info["partner_mac"].replace(":", "")))])


def _slave(data):
    yield attribute(2, bytes([MII[data["mii_status"]]]))
    yield attribute(3, data["link_failure_count"])
    if "ad_aggregator_id" in data:
        yield attribute(6, struct.pack("=H", data["ad_aggregator_id"]))
        yield attribute(7, bytes([data["ad_actor_oper_port_state"]]))
        yield attribute(8, struct.pack("=H", data["ad_partner_oper_port_state"]))


def of_ip(said):
    """Return the messages of links as `ip -d -s -j link` has them."""
    indexes = {each["ifname"]: each["ifindex"] for each in said}
    return [_of_ip(each, indexes) for each in said]


def _of_ip(each, indexes):
    more = [attribute(13, each["txqlen"]), attribute(4, each["mtu"])]
    more.append(attribute(1, bytes.fromhex(each["address"].replace(":", ""))))
    if "master" in each:
        more.append(attribute(10, indexes[each["master"]]))
    if "link" in each or "link_index" in each:
        more.append(attribute(5, indexes[each["link"]] if "link" in each else each["link_index"]))
    if "link_netnsid" in each:
        more.append(attribute(37, each["link_netnsid"]))
    about = each.get("linkinfo", {})
    kind, data = about.get("info_kind", ""), about.get("info_data", {})
    inner = _bond(data, indexes) if kind == "bond" else ()
    if kind == "vlan":
        inner = [attribute(1, struct.pack("=H", data["id"]))]
    slave = about.get("info_slave_kind", "")
    more.append(info(kind, inner, slave, _slave(about["info_slave_data"]) if slave else ()))
    stats = each.get("stats64", {})
    counted = {f"{way} {key}": number for way in stats for key, number in stats[way].items()}
    places = {place: counted.get(name, 0) for place, name in enumerate(COUNTERS)} if stats else {}
    flags = [flag for flag in each["flags"] if flag in FLAGS]
    return link(each["ifindex"], each["ifname"], *more, flags=flags, counted=places)


def recorded(state):
    """Return the messages of a recorded state."""
    raw = RECORDINGS / f"{state}.link.bin"
    if raw.exists():
        return [each for each in rtnetlink.messages(raw.read_bytes()) if each.type == rtnetlink.RTM_NEWLINK]
    return of_ip(json.loads((RECORDINGS / f"{state}.json").read_text()))


def saying(*ticks):
    """Return the collector on a kernel that says at each tick what is next; the last is said for ever.

    The first tick is that of its opening.
    """
    coming = list(ticks)

    def dump(_context, read):
        now = coming.pop(0) if len(coming) > 1 else coming[0]
        return [found for message in now if (found := read(message))]

    return type("Told", (Network,), {"dump": staticmethod(dump), "apart": 0.0})


def told(messages, settings=None, *, root="/nowhere", context=None):
    """Return the series of one collect, by name and labels, and the context."""
    context = context or FakeContext(root=root)
    return values(collect(saying(messages), settings, context=context)), context


def states(series):
    """Return the state of each slave of LACP bonds, by bond and interface."""
    found = {}
    for name, value in series.items():
        if name.startswith("network_bond_slave_state{") and value:
            labels = dict(each.split("=", 1) for each in name.partition("{")[2].rstrip("}").split(","))
            found[labels["interface"].strip('"')] = labels["network_bond_slave_state"].strip('"')
    return found
