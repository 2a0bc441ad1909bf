"""Real servers of real zones: BIND as the hidden primary that signs, NSD and Knot as secondaries; and all that is above.

They are in a network namespace with a cable to another one, from which they are asked: the root and `test` by a BIND of
their own, and a resolver that knows nothing but that root.
"""

import os
import signal
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass

from harness import until
from netns import namespace
from scraping import SHARED

NSD, KNOT, PRIMARY, ABOVE, RESOLVER = (f"10.53.0.{number}" for number in (1, 2, 3, 5, 6))
NSD6, KNOT6, PRIMARY6 = (f"fd53::{number}" for number in (1, 2, 3))
CLIENT = "10.53.0.100"
BEFORE_WRAP, AFTER_WRAP = 4_294_967_290, 3


@dataclass(frozen=True)
class Made:
    """A zone: its SOA's numbers, whom its NS records name, and whom the parent names."""

    serial: int = 1
    refresh: int = 3600
    retry: int = 600
    expire: int = 86_400
    own: tuple[str, ...] = ("ns1", "ns2")
    parent: tuple[str, ...] = ("ns1", "ns2")
    hosts: str = f"ns1 A {NSD}\nns1 AAAA {NSD6}\nns2 A {KNOT}\nns2 AAAA {KNOT6}\n"
    notify: tuple[str, ...] = (NSD, KNOT)
    options: str = ""

    def text(self, serial=None):
        """Return it as a file."""
        numbers = f"{self.serial if serial is None else serial} {self.refresh} {self.retry} {self.expire} 60"
        names = "".join(f"@ NS {name}\n" for name in self.own)
        return f"$TTL 300\n@ SOA ns1 hostmaster {numbers}\n{names}{self.hosts}"


ZONES = {
    "example.test": Made(BEFORE_WRAP),
    "signed.test": Made(2026112401, options="dnssec-policy default; inline-signing yes;"),
    "lag.test": Made(notify=(NSD,)),
    "short.test": Made(refresh=1, retry=1, expire=4),
    "six.test": Made(hosts=f"ns1 AAAA {NSD6}\nns2 AAAA {KNOT6}\n"),
    "differs.test": Made(parent=("ns1", "ns9")),
}
LAME = "lame.test"
"""The parent delegates it to servers that have never heard of it."""

NAMED = """
options {{
    directory "{0}"; pid-file none; session-keyfile "{0}/key"; listen-on {{ {1}; }}; listen-on-v6 {{ {2} }};
    allow-transfer {{ any; }}; notify explicit; dnssec-validation no; empty-zones-enable no; minimal-responses no; {3}
}};
controls {{ }};
"""


class Servers:
    """The servers, and the two namespaces: `net` is theirs, `client` that of who asks."""

    def __init__(self, directory):
        self.directory = directory
        self.processes = {}
        self._stack = ExitStack()

    def start(self):
        """Make the namespaces and start all servers."""
        os.environ["RSCOLLECTOR_TEST_SERVER"] = "1"  # who holds the namespaces outlives a test, as servers do
        try:
            self.net = self._stack.enter_context(namespace())
            self.client = self._stack.enter_context(namespace())
        finally:
            del os.environ["RSCOLLECTOR_TEST_SERVER"]
        self._cable()
        self._above()
        for start in (self.primary, self.nsd, self.knot):
            start()
        until(lambda: all(self.serial(server, zone) is not None for zone in ZONES for server in (NSD, KNOT)))
        until(lambda: self.dig(RESOLVER, "ns1.example.test", "A", "+rec") == NSD)

    def stop(self):
        """End all of it."""
        for each in self.processes.values():
            each.kill()
            each.wait()
        self._stack.close()

    def _cable(self):
        holder = self.client.enter[1].split("/")[2]
        self.net.ip("link", "set", "b0", "down")
        self.net.ip("link", "set", "b0", "netns", holder, "name", "wire")
        self.client.ip("link", "set", "wire", "up")
        for number in (1, 2, 3, 5, 6):
            self.net.ip("addr", "add", f"10.53.0.{number}/24", "dev", "a0")
            self.net.ip("addr", "add", f"fd53::{number}/64", "dev", "a0", "nodad")
        self.client.ip("addr", "add", f"{CLIENT}/24", "dev", "wire")
        self.client.ip("addr", "add", "fd53::100/64", "dev", "wire", "nodad")
        # So that a rule may come before what is local: `deaf`.
        self.net.ip("rule", "add", "pref", "10", "lookup", "local")
        self.net.ip("rule", "del", "pref", "0")

    def _run(self, name, *command):
        with (self.directory / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*self.net.enter, *command], stdout=log, stderr=log, env=SHARED
            )

    def _named(self, name, options, zones, address, address6=""):
        place = self.directory / name
        place.mkdir(exist_ok=True)
        text = NAMED.format(place, address, address6 and f"{address6};", options)
        (place / "named.conf").write_text(text + zones)
        self._run(name, "named", "-g", "-n", "1", "-c", str(place / "named.conf"))

    def _above(self):
        place = self.directory / "above"
        place.mkdir()
        soa = "$TTL 60\n@ SOA a.root. hostmaster.root. 1 60 60 60 1\n"
        (place / "root").write_text(
            f"{soa}@ NS a.root.\na.root. A {ABOVE}\ntest. NS ns.test.\nns.test. A {ABOVE}\n"
        )
        delegations = "".join(
            f"{zone}. NS {name}.{zone}.\n" for zone, made in ZONES.items() for name in made.parent
        )
        glue = "".join(
            line.replace(" ", f".{zone}. ", 1) + "\n"
            for zone, made in ZONES.items() for line in made.hosts.splitlines() if line.split()[0] in made.parent
        )  # fmt: skip
        lame = f"{LAME}. NS ns1.example.test.\n{LAME}. NS ns2.example.test.\n"
        (place / "test").write_text(f"{soa}@ NS ns.test.\nns.test. A {ABOVE}\n{delegations}{glue}{lame}")
        zones = 'zone "." { type primary; file "root"; };\nzone "test" { type primary; file "test"; };\n'
        self._named("above", "recursion no;", zones, ABOVE)
        place = self.directory / "resolver"
        place.mkdir()
        (place / "hints").write_text(f". 60 NS a.root.\na.root. 60 A {ABOVE}\n")
        limits = "recursion yes; allow-recursion { any; }; max-cache-ttl 1; max-ncache-ttl 1;"
        self._named("resolver", limits, 'zone "." { type hint; file "hints"; };\n', RESOLVER)

    def primary(self):
        """Start the primary."""
        place = self.directory / "primary"
        place.mkdir(exist_ok=True)
        text = ""
        for zone, made in ZONES.items():
            if not (place / zone).exists():
                (place / zone).write_text(made.text())
            notified = " ".join(f"{address};" for address in made.notify)
            text += f'zone "{zone}" {{ type primary; file "{zone}"; also-notify {{ {notified} }}; {made.options} }};\n'
        self._named("primary", f"recursion no; notify-source {PRIMARY};", text, PRIMARY, PRIMARY6)
        until(lambda: self.serial(PRIMARY, "example.test") is not None)

    def without(self, zone):
        """Have the primary reload its configuration, in which a zone is no more."""
        config = self.directory / "primary" / "named.conf"
        lines = config.read_text().splitlines(keepends=True)
        config.write_text("".join(each for each in lines if not each.startswith(f'zone "{zone}"')))
        self.processes["primary"].send_signal(signal.SIGHUP)

    def change(self, zone, serial):
        """Give a zone another serial on the primary."""
        (self.directory / "primary" / zone).write_text(ZONES[zone].text(serial))
        self.processes["primary"].send_signal(signal.SIGHUP)
        until(lambda: self.serial(PRIMARY, zone) == serial)

    def nsd(self):
        """Start NSD."""
        place = self.directory / "nsd"
        place.mkdir(exist_ok=True)
        text = (
            f'server:\n ip-address: {NSD}\n ip-address: {NSD6}\n username: ""\n chroot: ""\n zonesdir: "{place}"\n'
            f' database: ""\n pidfile: "{place}/pid"\n xfrdfile: "{place}/xfrd"\n xfrdir: "{place}"\n'
            f' zonelistfile: "{place}/list"\n server-count: 1\nremote-control:\n control-enable: no\n'
        )
        for zone in ZONES:
            text += f"zone:\n name: {zone}\n zonefile: {zone}\n request-xfr: AXFR {PRIMARY} NOKEY\n allow-notify: {PRIMARY} NOKEY\n"
        (place / "nsd.conf").write_text(text)
        self._run("nsd", "nsd", "-d", "-c", str(place / "nsd.conf"))

    def knot(self):
        """Start Knot."""
        place = self.directory / "knot"
        place.mkdir(exist_ok=True)
        text = (
            f"server:\n    listen: [{KNOT}@53, {KNOT6}@53]\n    rundir: {place}\n    udp-workers: 1\n    tcp-workers: 1\n"
            f"    background-workers: 1\ndatabase:\n    storage: {place}/db\nremote:\n  - id: p\n    address: {PRIMARY}\n"
            "acl:\n  - id: n\n    address: 10.53.0.0/24\n    action: notify\nzone:\n"
        )
        for zone in ZONES:
            text += f"  - domain: {zone}\n    storage: {place}\n    master: p\n    acl: n\n"
        (place / "knot.conf").write_text(text)
        self._run("knot", "knotd", "-c", str(place / "knot.conf"))

    def dig(self, server, name, rdtype="SOA", *options):
        """Return what dig says, short."""
        command = [*self.client.enter, "dig", "+short", "+time=2", "+tries=1", *(options or ["+norec"])]
        done = subprocess.run(
            [*command, f"@{server}", name, rdtype], capture_output=True, text=True, timeout=30, check=False
        )
        return "" if done.returncode else done.stdout.strip()

    def serial(self, server, zone):
        """Return the serial that dig is told by a server, None if it is told none."""
        words = self.dig(server, zone).split()
        return int(words[2]) if len(words) == 7 else None

    def deaf(self, address, *, is_deaf=True):
        """Have a server hear nothing over UDP at an IPv4 address, or hear it again."""
        what = ["pref", "5", "ipproto", "udp", "dport", "53", "to", address]
        self.net.ip("rule", "add" if is_deaf else "del", *what, "blackhole")

    def kill(self, name):
        """Kill a server at once."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def heal(self):
        """Start again whoever is dead or stopped."""
        for name in ("primary", "nsd", "knot"):
            if name not in self.processes:
                getattr(self, name)()
            self.processes[name].send_signal(signal.SIGCONT)
        until(lambda: all(self.serial(each, "example.test") is not None for each in (NSD, KNOT, PRIMARY)))
