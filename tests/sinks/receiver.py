"""A strict receiver: it does what OpenTSDB does with points, and whatever else receivers do at night."""

import gzip
import json
import re
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BROKEN_OFF = {"cut": b"", "half": b"HTTP/1.1 2", "short": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"}
MOODS = ("ok", "slow", *BROKEN_OFF)
NAME = re.compile(r"[A-Za-z0-9\-_./]+")


def fault(point):
    """Return what is wrong with a point, "" if nothing is."""
    if not isinstance(point, dict) or set(point) != {"metric", "timestamp", "value", "tags"}:
        return "no point"
    tags = point["tags"]
    if not NAME.fullmatch(point["metric"]):
        return "Invalid metric name"
    if "poison" in tags.values() and point["metric"].startswith("tame."):
        return "Unknown metric, and none is made for it"
    if type(point["timestamp"]) is not int or not 1e9 < point["timestamp"] < 1e10:
        return "Invalid timestamp"
    if type(point["value"]) not in (int, float):
        return "Invalid value"
    if not 1 <= len(tags) <= 8 or not all(NAME.fullmatch(text) for pair in tags.items() for text in pair):
        return "Invalid tags"
    return ""


class Receiver:
    """Listens on `port`. `mood` is what it does with requests; `points` counts what it has stored.

    Moods: "ok", a status code, "silent" (it reads and never answers), "cut" (it stores, and hangs up instead of
    answering), "half" (in the middle of its answer), "short" (after its status), "slow" (an answer after two seconds), "strange" (what it says
    is no HTTP). A body longer than `limit` is 413, one that is longer than `chunk` on the wire what OpenTSDB says
    to it. `demands` are headers without which nobody is let in; `unknown` are the metrics that it does not take,
    `in_vain` counts points that it was sent and did not take; with the metric and the value in `stumbles_at` it
    answers 500. `metadata` are the entries that it has been told, about metrics and about `hosts`;
    `metadata_mood` is "ok", a status code, or "silent".
    """

    def __init__(self, port=0, tls=None):
        self.mood = "ok"
        self.retry_after = ""
        self.limit = self.chunk = 1 << 20
        self.demands = {}
        self.unknown = frozenset()
        self.in_vain = 0
        self.stumbles_at = None
        self.paths = []
        self.connections = 0
        self.points = Counter()
        self.metadata = []
        self.hosts = []
        self.metadata_mood = "ok"
        self.requests = []
        self.headers = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self):
                receiver.connections += 1
                super().setup()

            def do_POST(self):
                receiver.take(self)

            def log_message(self, *_):
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_):
                """A client that hangs up is none of ours."""

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def take(self, handler):
        """Answer a request."""
        data = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.headers.append(dict(handler.headers))
        self.paths.append(handler.path)
        mood = self.mood
        if any(handler.headers.get(name) != value for name, value in self.demands.items()):
            mood = 401
        if mood == "ok" and handler.path.endswith("/api/metadata/put"):
            mood = self.metadata_mood
        if mood == "silent":
            time.sleep(60)
            return
        if mood == "strange":
            handler.wfile.write(b"what?\r\n\r\n")
            handler.close_connection = True
            return
        if handler.path.endswith("/api/metadata/put"):
            status = self._note(handler, data) if mood == "ok" else mood if isinstance(mood, int) else 503
        else:
            status = self._store(handler, data) if mood in MOODS else mood
        if mood in BROKEN_OFF:
            handler.wfile.write(BROKEN_OFF[mood])
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        if mood == "slow":
            time.sleep(2)
        said = "Chunked request not supported." if len(data) > self.chunk else "no"
        text = b"" if status == 204 else json.dumps({"error": {"code": status, "message": said}}).encode()
        handler.send_response(status)
        if self.retry_after:
            handler.send_header("Retry-After", self.retry_after)
        if text:
            handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def _note(self, handler, data):
        if handler.headers.get("Content-Encoding"):
            return 500
        for each in json.loads(data):
            if each["metric"]:
                self.metadata.append((each["metric"], each["name"], each["value"]))
            else:
                self.hosts.append((tuple(sorted(each["tags"].items())), each["name"], each["value"]))
        return 204

    def _store(self, handler, data):
        if not handler.path.endswith("/api/put"):
            return 404
        if len(data) > self.chunk:
            return 400
        if handler.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        if len(data) > self.limit:
            return 413
        points = json.loads(data)
        self.requests.append(len(points))
        if any((point["metric"], point["value"]) == self.stumbles_at for point in points):
            return 500
        bad = 0
        for point in points:
            if fault(point) or point["metric"] in self.unknown:
                bad += 1
                self.in_vain += 1
            else:
                key = (
                    point["metric"],
                    tuple(sorted(point["tags"].items())),
                    point["timestamp"],
                    point["value"],
                )
                self.points[key] += 1
        return 400 if bad else 204

    def close(self):
        """Hang up."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
