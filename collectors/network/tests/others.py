"""What others say of interfaces and bonds in the same moment, as our series: ip(8), node_exporter, /proc/net/bonding."""

import json
import re

from prometheus_client.parser import text_string_to_metric_families

OURS = re.compile(r"network_(?!bond_|speed|full_duplex|driver)")
KINDS = {
    "receive": ("length", "over", "crc", "frame", "fifo"),
    "transmit": ("aborted", "carrier", "fifo", "heartbeat", "window"),
}


def of_interfaces(series):
    """Return those of our series that ip(8) tells as well."""
    return {name: value for name, value in series.items() if OURS.match(name)}


def by_ip(text):
    """Return what `ip -d -s -s -j link` says, as our series."""
    found = {}
    for each in filter(None, json.loads(text)):
        found |= dict(_by_ip(each))
    return found


def _by_ip(each):
    one, flags, stats = f'interface="{each["ifname"]}"', each["flags"], each["stats64"]
    about = each.get("linkinfo", {})
    yield f"network_up{{{one}}}", int("UP" in flags)
    yield f"network_carrier{{{one}}}", int("LOWER_UP" in flags)
    yield f"network_mtu_bytes{{{one}}}", each["mtu"]
    yield f"network_queue_length{{{one}}}", each.get("txqlen", 0)
    yield f"network_carrier_changes_total{{{one}}}", stats["tx"]["carrier_changes"]
    vlan = about["info_data"]["id"] if about.get("info_kind") == "vlan" else ""
    yield (
        (
            f'network_interface_info{{{one},kind="{about.get("info_kind", "")}",address="{each["address"]}",'
            f'parent="{each.get("link") or ""}",master="{each.get("master", "")}",vlan="{vlan}"}}'
        ),
        1,
    )
    for way, direction in (("rx", "receive"), ("tx", "transmit")):
        to, counted = f'{one},direction="{direction}"', stats[way]
        yield f"network_bytes_total{{{to}}}", counted["bytes"]
        yield f"network_frames_total{{{to}}}", counted["packets"]
        yield f"network_errors_total{{{to}}}", counted["errors"]
        yield f'network_dropped_frames_total{{{to},kind="kernel"}}', counted["dropped"]
        rare = {
            f'network_errors_by_kind_total{{{to},kind="{kind}"}}': counted[f"{kind}_errors"]
            for kind in KINDS[direction]
        }
        for kind, name in (("nohandler", "nohandler"), ("other_host", "otherhost")):
            rare[f'network_dropped_frames_total{{{to},kind="{kind}"}}'] = counted.get(name, 0)
        rare[f"network_collisions_total{{{one}}}"] = counted.get("collisions", 0)
        yield from ((name, value) for name, value in rare.items() if value)
    yield (
        f'network_dropped_frames_total{{{one},direction="receive",kind="ring"}}',
        stats["rx"]["missed_errors"],
    )
    yield f"network_multicast_frames_total{{{one}}}", stats["rx"]["multicast"]


def by_node_exporter(text):
    """Return node_exporter's series by name and device (or master of bonds)."""
    return {
        (each.name, each.labels.get("device") or each.labels.get("master")): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
        if each.name.startswith(("node_network", "node_bonding"))
    }


def as_node_exporter(series, interfaces):
    """Return our series as node_exporter has them: what the page says of their names."""

    def ours(name, **labels):
        inner = ",".join(f'{label}="{value}"' for label, value in labels.items())
        return series.get(f"network_{name}{{{inner}}}", 0)

    found = {}
    for each in interfaces:
        for way in ("receive", "transmit"):
            to = {"interface": each, "direction": way}

            def kinds(*wanted, to=to):
                return sum(ours("errors_by_kind_total", **to, kind=kind) for kind in wanted)

            counted = {
                "bytes": ours("bytes_total", **to),
                "packets": ours("frames_total", **to),
                "errs": ours("errors_total", **to),
                "drop": sum(ours("dropped_frames_total", **to, kind=kind) for kind in ("kernel", "ring")),
                "fifo": kinds("fifo"),
            }
            if way == "receive":
                counted |= {
                    "multicast": ours("multicast_frames_total", interface=each),
                    "frame": kinds("length", "over", "crc", "frame"),
                }
            else:
                counted |= {
                    "colls": ours("collisions_total", interface=each),
                    "carrier": kinds("aborted", "carrier", "heartbeat", "window"),
                }
            for name, value in counted.items():
                found[f"node_network_{way}_{name}_total", each] = value
        for name in ("carrier_changes_total", "mtu_bytes"):
            found[f"node_network_{name}", each] = ours(name, interface=each)
        found["node_network_transmit_queue_length", each] = ours("queue_length", interface=each)
        if ours("up", interface=each):
            found["node_network_carrier", each] = ours("carrier", interface=each)
    return found


def by_proc(text):
    """Return what /proc/net/bonding says of a bond to root: ports, partner, and its slaves' links and failures."""
    head, *slaves = text.split("\nSlave Interface: ")
    fields = dict(re.findall(r"^\s*([\w ]+?): +(.*)$", head, re.MULTILINE))
    found = {
        "ports": int(fields.get("Number of ports", 0)),
        "partner": fields.get("Partner Mac Address", "00:00:00:00:00:00"),
        "active": fields.get("Currently Active Slave", ""),
        "slaves": {},
    }
    for each in slaves:
        about = dict(re.findall(r"^([\w ]+?): +(.*)$", each, re.MULTILINE))
        churned = [int(about.get(f"{side} Churned Count", 0)) for side in ("Actor", "Partner")]
        found["slaves"][each.partition("\n")[0]] = [
            about["MII Status"] == "up",
            int(about["Link Failure Count"]),
            *churned,
        ]
    if "802.3ad" not in fields["Bonding Mode"]:
        found["ports"] = sum(each[0] for each in found["slaves"].values())
    return found


def as_proc(series, bond):
    """Return our series of a bond in the same shape."""

    def labelled(metric, label):
        pattern = rf'network_bond_{metric}\{{bond="{bond}".*?{label}="([^"]*)"'
        return {found[1]: value for name, value in series.items() if (found := re.match(pattern, name))}

    def one(metric, label, default):
        return next(iter(labelled(metric, label)), default)

    up, failures = labelled("slave_up", "interface"), labelled("slave_failures_total", "interface")
    churned = {
        side: {
            name.split('interface="')[1].split('"')[0]: value
            for name, value in series.items()
            if name.startswith("network_bond_slave_churned")
            and f'bond="{bond}"' in name
            and f'side="{side}"' in name
        }
        for side in ("actor", "partner")
    }
    return {
        "ports": series[f'network_bond_ports{{bond="{bond}"}}'],
        "partner": one("partner_info", "partner", "00:00:00:00:00:00"),
        "active": one("active_info", "interface", ""),
        "slaves": {
            name: [
                bool(up[name]),
                failures[name],
                churned["actor"].get(name, 0),
                churned["partner"].get(name, 0),
            ]
            for name in up
        },
    }
