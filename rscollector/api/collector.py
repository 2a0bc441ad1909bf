"""What a collector is: the class that every plugin derives from, and what it may rely on."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Generic, TypeVar

from rscollector.api.context import Context
from rscollector.api.needs import Needs
from rscollector.model.metrics import Metric, Sample
from rscollector.model.settings import NoSettings

S = TypeVar("S")


class Collector(ABC, Generic[S]):
    """One instance of a collector. It is made, opened, asked and closed in a worker process, serially.

    Each call may block until `context.remaining()` is over. Raise Unavailable when the service cannot be
    asked and Misconfigured when someone has to change something; the collector is closed and, later, a new
    one is opened. Whatever was yielded before an exception is not shown: a collect is all or nothing.
    """

    metrics: ClassVar[tuple[Metric, ...]]
    """Every metric that it may emit; the names start with the collector's type."""

    local: ClassVar[bool] = False
    """Whether it asks nothing but this kernel, and so may share a worker process with others like it."""

    interval: ClassVar[float] = 15.0
    """Seconds between two ticks where nobody has set another time."""

    max_series: ClassVar[int] = 2000
    """Series that an instance may have where nobody has set another bound: as many as a large host needs."""

    needs: ClassVar[Needs] = Needs()
    """What it wants from its host, beside the agent's package."""

    Settings: ClassVar[type[Any]] = NoSettings
    """A frozen dataclass whose fields are made with `setting`."""

    @classmethod
    def is_local(cls, _settings: S) -> bool:
        """Tell whether an instance may share a worker: one that must not miss anything should not."""
        return cls.local

    def __init__(self, settings: S) -> None:
        self.settings = settings

    def open(self, context: Context) -> None:
        """Connect to the service. When it raises, it has given back what it took: `close` is not called."""

    @abstractmethod
    def collect(self, context: Context) -> Iterable[Sample]:
        """Return the samples of one moment."""

    def close(self) -> None:
        """Give back what `open` took, once. It need not be polite: the process may end."""
