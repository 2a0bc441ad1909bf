"""Metrics that are declared in a line each."""

import pytest

from rscollector.model.metrics import Kind, Metric
from rscollector.model.namespace import Namespace

DISK = Namespace("disk", "device")


@pytest.mark.parametrize(
    ("declared", "same"),
    [
        (
            DISK.gauge("temperature_celsius", "Heat."),
            Metric("disk_temperature_celsius", Kind.GAUGE, "Heat.", unit="celsius", labels=("device",)),
        ),
        (
            DISK.gauge("queue", "Requests that wait.", "direction"),
            Metric("disk_queue", Kind.GAUGE, "Requests that wait.", labels=("device", "direction")),
        ),
        (
            DISK.counter("read_bytes", "Bytes read."),
            Metric("disk_read_bytes_total", Kind.COUNTER, "Bytes read.", unit="bytes", labels=("device",)),
        ),
        (
            DISK.info("model", "What it is.", "model"),
            Metric("disk_model_info", Kind.INFO, "What it is.", labels=("device", "model")),
        ),
        (
            DISK.stateset("health", "How it is.", ("good", "bad")),
            Metric("disk_health", Kind.STATESET, "How it is.", labels=("device",), states=("good", "bad")),
        ),
        (
            DISK.histogram("wait_seconds", "Waits.", (0.1, 1.0)),
            Metric(
                "disk_wait_seconds",
                Kind.HISTOGRAM,
                "Waits.",
                unit="seconds",
                labels=("device",),
                buckets=(0.1, 1.0),
            ),
        ),
        (
            Namespace("mail").gauge_histogram("age_seconds", "Ages.", (60.0,)),
            Metric("mail_age_seconds", Kind.GAUGE_HISTOGRAM, "Ages.", unit="seconds", buckets=(60.0,)),
        ),
    ],
)
def test_a_declaration_in_a_line_is_the_same_as_a_long_one(declared, same):
    """Prefix, suffix, unit and the labels that all have in common are added."""
    assert declared == same


def test_a_declaration_is_checked_as_ever():
    """A help that is no sentence is found when the module is imported."""
    with pytest.raises(ValueError, match="the help is not a sentence"):
        DISK.gauge("queue", "requests")
