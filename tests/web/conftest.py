"""What the tests of the web share."""

import logging

import pytest


@pytest.fixture
def logged():
    """What is logged by us and by asyncio, whatever other tests have done with the loggers."""
    records, handler = [], logging.Handler()
    handler.emit = records.append
    loggers = [logging.getLogger(name) for name in ("rscollector.web", "asyncio")]
    for each in loggers:
        each.addHandler(handler)
    yield records
    for each in loggers:
        each.removeHandler(handler)
