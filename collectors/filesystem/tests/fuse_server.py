"""FUSE file systems in one process, on the kernel's own protocol: `fuse_server.py SOURCE TYPE OPTIONS POINT…`.

Each has a root directory with an empty one, `sub`, whose name the kernel has to ask for again each time. Lines on its standard input change what it does: `statfs {"blocks": 1, …}` what they
tell, `error N` with which errno it answers, `withhold` to read a question and say nothing, which makes who has asked
unkillable, `answer` to answer all of them.
"""

import ctypes
import json
import os
import select
import struct
import sys

IN, OUT = struct.Struct("<IIQQIIIHH"), struct.Struct("<IiQ")
LOOKUP, GETATTR, STATFS, INIT = 1, 3, 17, 26
UNANSWERED = (2, 36, 42)  # FORGET, INTERRUPT, BATCH_FORGET
USUAL = {"blocks": 1000, "bfree": 400, "bavail": 300, "files": 50, "ffree": 20, "bsize": 4096, "frsize": 4096}


def directory(number):
    """Return the attributes of a directory."""
    return struct.pack("<6Q3I7I", number, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)


class Server:
    def __init__(self):
        self.numbers, self.error, self.withheld, self.withholds = USUAL, 0, [], False

    def reply(self, unique, body=b"", error=0):
        os.write(self.device, OUT.pack(OUT.size + len(body), -error, unique) + body)

    def serve(self, device):
        self.device = device
        text = os.read(self.device, 1 << 20)
        _, opcode, unique, *_ = IN.unpack_from(text)
        if opcode == INIT:
            self.reply(unique, struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 1, 1, 4096, 1, 0, 0, 0))
            print("ready", flush=True)
        elif opcode == GETATTR:
            self.reply(unique, struct.pack("<QII", 0, 0, 0) + directory(1))
        elif opcode == LOOKUP and text[IN.size :] == b"sub\0":
            self.reply(unique, struct.pack("<4QII", 2, 1, 0, 0, 0, 0) + directory(2))
        elif opcode == LOOKUP:
            self.reply(unique, error=2)
        elif opcode == STATFS and self.withholds:
            self.withheld.append((device, unique))
            print("withheld", flush=True)
        elif opcode == STATFS:
            self.statfs(unique)
        elif opcode not in UNANSWERED:
            self.reply(unique, error=38)

    def statfs(self, unique):
        n = self.numbers
        names = ("blocks", "bfree", "bavail", "files", "ffree")
        body = struct.pack("<5Q4I24x", *(n[each] for each in names), n["bsize"], 255, n["frsize"], 0)
        self.reply(unique, b"" if self.error else body, self.error)

    def obey(self, command, _, value):
        match command:
            case "statfs":
                self.numbers = USUAL | json.loads(value)
            case "error":
                self.error = int(value)
            case "withhold":
                self.withholds = True
            case "answer":
                self.withholds = False
                for device, unique in self.withheld:
                    self.device = device
                    self.statfs(unique)
                self.withheld = []
        print("done", flush=True)


def mounted(source, kind, options, point):
    """Mount one and return its device."""
    device = os.open("/dev/fuse", os.O_RDWR)
    data = f"fd={device},rootmode=40000,group_id=0,{options}"
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [os.fsencode(each) for each in (source, point, kind)]
    assert libc.mount(*arguments, 0, data.encode()) == 0, os.strerror(ctypes.get_errno())
    return device


def main(source, kind, options, *points):
    devices = [mounted(source, kind, options, point) for point in points]
    server = Server()
    while True:
        ready, _, _ = select.select([*devices, 0], [], [])
        if asked := [each for each in ready if each]:
            server.serve(asked[0])
        elif line := sys.stdin.readline():
            server.obey(*line.strip().partition(" "))
        else:
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
