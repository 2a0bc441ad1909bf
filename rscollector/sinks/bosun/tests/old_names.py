"""What collectors' samples are under the names that others had."""

from pathlib import Path

import pytest

from rscollector.sinks.bosun import dialect

ROWS = [
    line.split("\t")
    for line in Path(__file__).with_name("rs_collector_names.tsv").read_text().splitlines()[1:]
]
TABLE = {name: (rate, unit, tags) for name, rate, unit, tags in ROWS}
"""All names of rs-collector, as its sources say."""
RS_COLLECTOR = dialect.installed("rs-collector", pytest.fail)
SCOLLECTOR = dialect.installed("scollector", pytest.fail)


def translated(samples, translate=RS_COLLECTOR):
    """Return the points by name and tags: {name: {tags: value}}; each has the tags that it had."""
    found = {}
    for each in translate([(sample.metric, sample.values, sample.value) for sample in samples]):
        if translate is RS_COLLECTOR and each.name in TABLE:
            assert list(each.labels) == TABLE[each.name][2].split(), each.name
        found.setdefault(each.name, {})[tuple(each.labels.values())] = each.value
    assert translate.faults == {}
    return found
