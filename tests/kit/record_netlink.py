"""Record what this kernel says over rtnetlink, beside what `ip` says in the same moment. Needs no code of ours.

    record_netlink.py dump DIRECTORY STATE        writes STATE.{link,addr}.bin and STATE.{link,addr}.json
    record_netlink.py events DIRECTORY STATE      reads commands of ip(8) from its standard input, one a line, and
                                                  writes the events that they cause, STATE.events.bin

A recording is the kernel's messages as they came, one after the other. Both see the network namespace that they
run in; what changes between two looks (counters, lifetimes) is asked for again until it stands still.
"""

import json
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

LINKS, ADDRESSES, DONE = 18, 22, 3
ALL_GROUPS = 0x111  # links, IPv4 and IPv6 addresses


def dump(kind):
    """Return the kernel's answer to one dump."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asking:
        asking.bind((0, 0))
        asking.send(struct.pack("=IHHII16x", 32, kind, 0x301, 1, 0))
        parts = []
        while not parts or DONE not in kinds(parts[-1]):
            parts.append(asking.recv(1 << 16))
        return b"".join(parts)


def kinds(part):
    """Yield the types of the messages in what one recv gave."""
    offset = 0
    while offset < len(part):
        length, kind = struct.unpack_from("=IH", part, offset)
        yield kind
        offset += (length + 3) & ~3


def said(*arguments):
    """Return what ip says, without the lifetimes, which change by the second."""
    asked = subprocess.run(["ip", "-json", *arguments], capture_output=True, check=True, text=True).stdout
    found = [interface for interface in json.loads(asked) if interface]
    for address in (each for interface in found for each in interface.get("addr_info", ())):
        address.pop("valid_life_time", None)
        address.pop("preferred_life_time", None)
    return found


def look():
    """Return what ip says of links and of addresses."""
    return said("-details", "-statistics", "link"), said("addr")


def record_dump(directory, state):
    """Write both dumps, and what ip said before and after them alike."""
    for _ in range(100):
        before = look()
        link, addr = dump(LINKS), dump(ADDRESSES)
        if before == look():
            break
        time.sleep(0.1)
    else:
        sys.exit(f"{state}: it never stands still")
    (directory / f"{state}.link.bin").write_bytes(link)
    (directory / f"{state}.addr.bin").write_bytes(addr)
    for name, value in zip(("link", "addr"), before, strict=True):
        (directory / f"{state}.{name}.json").write_text(
            json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        )


def record_events(directory, state):
    """Write the events of the commands; half a second after the last one is their end."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as hearing:
        hearing.bind((0, ALL_GROUPS))
        for command in sys.stdin.read().splitlines():
            subprocess.run(["ip", *command.split()], check=True)
        hearing.settimeout(0.5)
        heard = b""
        try:
            while True:
                heard += hearing.recv(1 << 16)
        except TimeoutError:
            (directory / f"{state}.events.bin").write_bytes(heard)


if __name__ == "__main__":
    _, what, where, named = sys.argv
    Path(where).mkdir(parents=True, exist_ok=True)
    {"dump": record_dump, "events": record_events}[what](Path(where), named)
