"""What rs-collector called an address."""

import ipaddress
from collections.abc import Iterator

from rscollector.api.old import Old, Point, Run


def _of_ipv4(run: Run, ours: str) -> Iterator[Point]:
    for labels, number in run.numbers(ours):
        if ipaddress.ip_address(labels["address"]).version == 4:
            yield {"ipv4": labels["address"]}, number


RS_COLLECTOR = (Old("os.net.has_ipv4s", "vip_bound", _of_ipv4),)
