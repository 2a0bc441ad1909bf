"""A server that speaks MongoDB's protocol and gives the answers that a test has set: real drivers believe it."""

import datetime as dt
import socketserver
import struct
import threading
from contextlib import contextmanager

import bson
from bson.timestamp import Timestamp

from collectors.mongodb.tests.recorded_mongodb import recording

_HEADER = struct.Struct("<iiii")
_MESSAGE, _REPLY = 2013, 1
HELLO = {
    "ismaster": True, "isWritablePrimary": True, "maxBsonObjectSize": 1 << 24, "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000, "minWireVersion": 0, "maxWireVersion": 17, "readOnly": False,
}  # fmt: skip


HANGS_UP = object()


def refusal(code, text="refused"):
    """Return the answer with which a server refuses; some give no code."""
    return {"ok": 0.0, "errmsg": text, **({} if code is None else {"code": code, "codeName": f"Code{code}"})}


def member_of_a_set():
    """Return what a healthy primary answers to each question."""
    entry = {"ts": Timestamp(1_700_000_000, 1), "wall": dt.datetime(2023, 11, 14)}  # noqa: DTZ001
    return {
        "serverStatus": recording("6.0-serverStatus-primary"),
        "replSetGetStatus": recording("6.0-healthy-primary"),
        "replSetGetConfig": {"config": recording("6.0-replSetGetConfig-delayed-hidden-arbiter")["config"]},
        "collStats": {"maxSize": 1 << 24, "size": 1 << 20},
        "find": {"cursor": {"id": bson.Int64(0), "ns": "local.oplog.rs", "firstBatch": [entry]}},
    }


def mongos():
    """Return what the router of a sharded cluster answers."""
    return {
        "serverStatus": {**recording("6.0-serverStatus-primary"), "process": "mongos"},
        "balancerStatus": {"mode": "full", "inBalancerRound": False, "numBalancerRounds": bson.Int64(7)},
    }


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while len(header := self.rfile.read(_HEADER.size)) == _HEADER.size:
            length, number, _, kind = _HEADER.unpack(header)
            body = self.rfile.read(length - _HEADER.size)
            start = (
                5 if kind == _MESSAGE else body.index(b"\0", 4) + 9
            )  # flags and a section; or a query's head
            answer = self._answer(bson.decode(body[start:]))
            if answer is None:
                return
            reply = bson.encode(answer)
            head = struct.pack("<ib", 0, 0) if kind == _MESSAGE else struct.pack("<iqii", 8, 0, 0, 1)
            kind = _MESSAGE if kind == _MESSAGE else _REPLY
            self.wfile.write(
                _HEADER.pack(_HEADER.size + len(head) + len(reply), 1, number, kind) + head + reply
            )

    def _answer(self, question):
        name = next(iter(question))
        if name.lower() in ("hello", "ismaster"):
            return {"ok": 1.0, **HELLO, **self.server.hello}
        if name in ("ping", "endSessions"):
            return {"ok": 1.0}
        answer = self.server.answers.get(name, refusal(59, f"no such command: '{name}'"))
        answer = answer(question) if callable(answer) else answer
        return None if answer is HANGS_UP else {"ok": 1.0, **answer}


@contextmanager
def fake_mongod(answers, **hello):
    """Yield the port of a server with these answers by command; a test may change them meanwhile.

    An answer may be a function of the question.
    """
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        server.answers, server.hello = answers, hello
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
