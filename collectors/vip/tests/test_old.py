"""What rs-collector said of an address."""

from collectors.vip import Vip
from rscollector.sinks.bosun.tests.old_names import translated


def test_an_address_says_the_same():
    """1 where it is; only IPv4 had a name."""
    (bound,) = (metric for metric in Vip.metrics if metric.name == "vip_bound")
    addresses = {"192.0.2.1": 1, "192.0.2.77": 0, "2001:db8::1": 1}
    found = translated(bound(value, address=address) for address, value in addresses.items())
    assert found == {"os.net.has_ipv4s": {("192.0.2.1",): 1, ("192.0.2.77",): 0}}
