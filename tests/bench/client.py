"""A scraper in a process of its own: asks ports in turn and prints the times in ms and the sizes, as JSON.

    client.py ROUNDS BURST PAUSE ENCODING PORT…

In each round each port is asked BURST times in a row, after PAUSE seconds; ENCODING is "identity" or "gzip".
With the file of a CA in `BENCH_CA` all of it is TLS, each time from another address.
"""

import itertools
import json
import os
import socket
import ssl
import sys
import time

BUFFER = bytearray(1 << 20)
TLS = ssl.create_default_context(cafile=os.environ["BENCH_CA"]) if "BENCH_CA" in os.environ else None
NUMBERS = itertools.count()


def connect(port):
    """Return a connection; real scrapers have no Nagle either."""
    if TLS is None:
        return socket.create_connection(("127.0.0.1", port))
    number = next(NUMBERS)
    source = f"127.9.{number // 200 % 250}.{number % 200 + 1}"
    connection = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return TLS.wrap_socket(connection, server_hostname="localhost")


def scrape(port, encoding):
    """Return the milliseconds from connecting to the end of the answer, and its size."""
    request = (
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Accept: text/plain;version=0.0.4\r\nAccept-Encoding: {encoding}\r\n\r\n"
    )
    began = time.perf_counter()
    with connect(port) as connection:
        connection.sendall(request.encode())
        size = 0
        while received := connection.recv_into(BUFFER):
            if not size and not BUFFER.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
                sys.exit(f"port {port}: {bytes(BUFFER[:80])!r}")
            size += received
    return (time.perf_counter() - began) * 1e3, size


def main(rounds, burst, pause, encoding, *ports):
    """Ask each port in each round; the times of a round stay together, the first one first."""
    times = {port: [] for port in ports}
    sizes = {}
    for port in ports:
        scrape(int(port), encoding)
    for _ in range(int(rounds)):
        time.sleep(float(pause))
        for port in ports:
            asked = [scrape(int(port), encoding) for _ in range(int(burst))]
            times[port].append([took for took, _ in asked])
            sizes[port] = asked[-1][1]
    print(json.dumps({"times": times, "sizes": sizes}))


main(*sys.argv[1:])
