"""The pages as HTML: each takes what the agent gives and returns a text. The templates are read once."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader

from rscollector.model.settings import humanized
from rscollector.model.texts import one_line
from rscollector.web import sparkline, views

_LONGEST_NAME = 200


class Html:
    """Makes the pages."""

    def __init__(self) -> None:
        environment = Environment(
            loader=PackageLoader("rscollector.web", "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,  # it would look at files for each page
        )
        environment.filters |= {
            "duration": humanized,
            "spark": sparkline.path,
            "spark_label": sparkline.label,
        }
        self._index = environment.get_template("index.html")
        self._collector = environment.get_template("collector.html")
        self._missing = environment.get_template("missing.html")

    def index(self, status: Mapping[str, Any], now: float, event_id: str, **more: Any) -> str:
        """Return the page of all collectors; see `views.index`. Events after `event_id` are news to it."""
        return self._index.render(views.index(status, now, **more), event_id=event_id)

    def collector(self, told: Mapping[str, Any], now: float, event_id: str) -> str:
        """Return the page of a collector or sink."""
        return self._collector.render(views.instance(told, now), event_id=event_id)

    def missing(self, key: str, event_id: str, unready: str) -> str:
        """Return the page that says that there is no such collector, now that the agent is ready or not."""
        return self._missing.render(key=one_line(key, _LONGEST_NAME), event_id=event_id, unready=unready)
