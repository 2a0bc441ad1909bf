"""Bosun, and whoever else takes OpenTSDB's points: all samples, under our names or those that others had."""

from rscollector.sinks.bosun.sink import Bosun

__all__ = ["Bosun"]
