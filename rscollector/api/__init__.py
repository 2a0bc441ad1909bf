"""All that a plugin may import.

A collector is a class with declared metrics, a dataclass of settings, and three methods that may block: the
agent calls them in a worker process and kills it when it does not answer in time.

    from rscollector.api import Collector, Namespace, NoSettings

    LOAD = Namespace("load").gauge("average", "Processes that want to run, averaged over a minute.")

    class Load(Collector[NoSettings]):
        '''The load of this host.'''

        metrics = (LOAD,)
        local = True

        def collect(self, context):
            yield LOAD(os.getloadavg()[0])

It is found by its entry point in the group `rscollector.collectors`, whose name is the collector's type, the
section of the configuration and the prefix of its metrics.

A plugin imports from here. The files of this package have one idea each, and need each other in this order:
`sink`, `collector`, `context`, `programs`, `deaths`; `needs`; `old`; and `durable`.
"""

from rscollector.api.collector import Collector
from rscollector.api.context import Context
from rscollector.api.durable import replace_file
from rscollector.api.needs import DropIn, Needs, Package
from rscollector.api.sink import PageSink, Sink, Taken
from rscollector.model.errors import CollectError, Misconfigured, Unavailable
from rscollector.model.metrics import Distribution, Kind, Metric, Sample, Series, Value
from rscollector.model.namespace import Namespace
from rscollector.model.settings import (
    ByteSize,
    Duration,
    IpAddress,
    NoSettings,
    Rate,
    Secret,
    humanized,
    setting,
)
from rscollector.model.stopping import SINK_SENDS
from rscollector.model.texts import one_line

__all__ = [
    "SINK_SENDS",
    "ByteSize",
    "CollectError",
    "Collector",
    "Context",
    "Distribution",
    "DropIn",
    "Duration",
    "IpAddress",
    "Kind",
    "Metric",
    "Misconfigured",
    "Namespace",
    "Needs",
    "NoSettings",
    "Package",
    "PageSink",
    "Rate",
    "Sample",
    "Secret",
    "Series",
    "Sink",
    "Taken",
    "Unavailable",
    "Value",
    "humanized",
    "one_line",
    "replace_file",
    "setting",
]
