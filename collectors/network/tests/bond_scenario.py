"""What happens to bonds in a kernel that has them, told by the collector and by others: a line of JSON for each state.

Run by boot_bonds.sh. Two cables, h1–s1 and h2–s2; what is in the namespace S is the switch.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from collectors.network import Network
from collectors.network.collector import NetworkSettings
from collectors.network.tests.kernel import states
from collectors.network.tests.others import (
    as_node_exporter,
    as_proc,
    by_ip,
    by_node_exporter,
    by_proc,
    of_interfaces,
)
from rscollector.api import Context
from rscollector.testing import values

PATIENCE = 60
SAID = ("ip", "-d", "-s", "-s", "-j", "link")
WATCHED = ("h1", "h2", "bond0", "bond1", "bond0.7", "dummy0", "outer")
URL = "http://127.0.0.1:9100/metrics"
EXPORTER = (
    "prometheus-node-exporter", "--collector.disable-defaults", "--collector.netdev", "--collector.netclass",
    "--collector.bonding", "--web.listen-address=127.0.0.1:9100", "--web.disable-exporter-metrics",
)  # fmt: skip


def context():
    """Return what a worker is told at a tick."""
    return Context("main", timeout=20, interval=15, agent=os.getpid())


def ip(command, *, switch=False):
    """Run ip(8), at the switch or here."""
    subprocess.run(["ip", *(("-n", "S") if switch else ()), *command.split()], check=True)


def differences(ours, theirs):
    """Return what is not the same."""
    found = ((key, ours.get(key), theirs.get(key)) for key in ours.keys() | theirs.keys())
    return {str(key): (one, other) for key, one, other in found if one != other}


def without_loopback(series):
    """Return what ip(8) tells as well, but for the interface by which node_exporter is asked."""
    return {name: value for name, value in of_interfaces(series).items() if 'interface="lo"' not in name}


def look(collector):
    """Return what all say in the same moment: LACP sends a frame each second, so ours stands around theirs."""
    for _ in range(50):
        told = context()
        series = values(collector.collect(told))
        said = subprocess.run(SAID, capture_output=True, text=True, check=True).stdout
        proc = {path.name: by_proc(path.read_text()) for path in Path("/proc/net/bonding").glob("*")}
        page = {}
        with suppress(OSError), urllib.request.urlopen(URL, timeout=10) as answer:
            page = by_node_exporter(answer.read().decode())
        if without_loopback(values(collector.collect(context()))) == without_loopback(series):
            break
    interfaces = [each for each in WATCHED if f'network_up{{interface="{each}"}}' in series]
    exported = as_node_exporter(series, interfaces)
    bonds = [each for each in proc if series[f'network_up{{interface="{each}"}}']]
    return {
        "series": series,
        "ip": differences(without_loopback(series), without_loopback(by_ip(said))),
        "proc": differences(
            {each: as_proc(series, each) for each in bonds}, {each: proc[each] for each in bonds}
        ),
        "node_exporter": differences(exported, {key: page[key] for key in exported if key in page}),
        "bonding": {"/".join(key): value for key, value in page.items() if "bonding" in key[0]},
        "sentences": told.sentences,
        "notes": told.notes,
    }


def tell(what, collector, is_so):
    """Wait until a state has come, by our own word, and print what all say of it."""
    until = time.monotonic() + PATIENCE
    while not is_so(values(collector.collect(context()))) and time.monotonic() < until:
        time.sleep(0.2)
    print(json.dumps({"what": what, **look(collector)}), flush=True)


def as_nobody(collector_type):
    """Return the states that a user without privileges is told."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        collector = collector_type(NetworkSettings())
        collector.open(context())
        os.write(writing, json.dumps(states(values(collector.collect(context())))).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return json.loads(os.read(reading, 1 << 16))


def settled(first, second, ports, *, partner=True, carrier=True):
    """Return what waits until all of this is so: the driver comes to it step by step."""

    def is_so(series):
        found = (
            states(series),
            *(
                series[f'network_{name}="bond0"}}']
                for name in ("bond_ports{bond", "bond_partner_present{bond", "carrier{interface")
            ),
        )
        return found == ({"h1": first, "h2": second}, ports, partner, carrier)

    return is_so


def main():
    """Play it."""
    for number in (1, 2):
        ip(f"link add h{number} type veth peer name s{number} netns S")
    lacp = "type bond mode 802.3ad miimon 100 lacp_rate fast"
    ip(f"link add sbond {lacp}", switch=True)
    ip(f"link add bond0 {lacp} min_links 1")
    for number in (1, 2):
        ip(f"link set s{number} master sbond", switch=True)
        ip(f"link set h{number} master bond0")
    ip("link set sbond up", switch=True)
    ip("link set bond0 up")
    for command in (
        "link add dummy0 type dummy", "link set dummy0 mtu 9000 up", "link add link bond0 name bond0.7 type vlan id 7",
        "link set bond0.7 up", "link add link dummy0 name outer type vlan proto 802.1ad id 4094",
    ):  # fmt: skip
        with suppress(subprocess.CalledProcessError):  # the module has made a dummy0 of its own
            ip(command)
    exporter = subprocess.Popen(EXPORTER, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    collector = Network(NetworkSettings())
    collector.open(context())
    tell("healthy", collector, settled("bundled", "bundled", 2))
    ip("link set s2 down", switch=True)
    tell("link down", collector, settled("bundled", "link_down", 1))
    ip("link set bond0 type bond min_links 2")
    tell("fewer than it wants", collector, settled("bundled", "link_down", 1, carrier=False))
    ip("link set bond0 type bond min_links 1")
    ip("link set s2 nomaster", switch=True)
    ip(f"link add obond {lacp}", switch=True)
    ip("link set s2 master obond", switch=True)
    ip("link set obond up", switch=True)
    tell("other switch", collector, settled("bundled", "other_partner", 1))
    print(json.dumps({"what": "other switch as nobody", "states": as_nobody(Network)}), flush=True)
    ip("link set s2 nomaster", switch=True)
    ip("link set s2 up", switch=True)
    tell("partner silent", collector, settled("bundled", "no_partner", 1))
    ip("link set s1 nomaster", switch=True)
    ip("link set s1 up", switch=True)
    tell("no partner", collector, settled("no_partner", "no_partner", 1, partner=False))
    for number in (1, 2):
        ip(f"link set s{number} down", switch=True)
    tell("all down", collector, settled("link_down", "link_down", 0, partner=False, carrier=False))
    ip("link set bond0 down")
    tell("switched off", collector, lambda series: not series['network_up{interface="bond0"}'])
    ip("link del bond0")
    ip("link add bond1 type bond mode active-backup miimon 100")
    for number in (1, 2):
        ip(f"link set s{number} up", switch=True)
        ip(f"link set h{number} down")
        ip(f"link set h{number} master bond1")
    ip("link set bond1 up")
    tell("active-backup", collector, lambda series: series['network_bond_ports{bond="bond1"}'] == 2)
    ip("link set s1 down", switch=True)
    tell(
        "failed over",
        collector,
        lambda series: 'network_bond_active_info{bond="bond1",interface="h2"}' in series,
    )
    ip("link set bond1 type bond miimon 0")
    ip("link set s2 down", switch=True)
    tell("unmonitored", collector, lambda series: not series['network_carrier{interface="h2"}'])
    for number in (1, 2):
        ip(f"link set h{number} nomaster")
    tell("the last one gone", collector, lambda series: not series['network_bond_slaves{bond="bond1"}'])
    exporter.kill()
    exporter.wait()


if __name__ == "__main__":
    sys.exit(main())
