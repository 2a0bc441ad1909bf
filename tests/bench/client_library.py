"""prometheus_client's own server with the series of `load`: `client_library.py COUNT PORT [CERTIFICATE KEY]`."""

import sys
import time

from load import QUEUES
from prometheus_client import CollectorRegistry, Gauge, start_http_server


def main(count, port, *tls):
    """Serve them until killed."""
    registry = CollectorRegistry()
    gauge = Gauge("load_value", "A value.", ["queue", "zone", "number", "name"], registry=registry)
    for number in range(count):
        series = number % 1000
        labels = (QUEUES[series % 4], f"zone-{series % 25:02}", f"{series:05}", f"i{number // 1000}")
        gauge.labels(*labels).set(1 + series / 7)
    start_http_server(port, "127.0.0.1", registry, *tls)
    time.sleep(86400)


main(*map(int, sys.argv[1:3]), *sys.argv[3:])
