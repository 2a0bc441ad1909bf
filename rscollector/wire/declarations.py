"""The declaration of a metric on the wire: an object with its fields."""

from typing import Any

from rscollector.model.metrics import Kind, Metric
from rscollector.wire.lines import Garbage


def declaration(metric: Metric) -> dict[str, Any]:
    """Return a metric's declaration as the wire has it."""
    return {name: getattr(metric, name) for name in Metric.__slots__}


def declared(message: Any) -> Metric:
    """Turn a declaration back into a metric; raises Garbage when it is none."""
    try:
        values: dict[str, Any] = {
            key: tuple(each) if isinstance(each, list) else each for key, each in message.items()
        }
        return Metric(**{**values, "kind": Kind(values["kind"])})
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise Garbage(f"a declaration that is none: {error}") from None
