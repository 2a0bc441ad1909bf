"""What a sink is to be given, as it arrives ahead of the question with which the sink takes it."""

from rscollector.api import Taken
from rscollector.wire.layouts import Columns, columns
from rscollector.wire.messages import Forget, Layout, Page, Parcel, Run


class Parcels:
    """The layouts that are known, and what was given for the next question: runs, or the page."""

    def __init__(self) -> None:
        self.page: str | None = None
        self._runs: list[Run] = []
        self._layouts: dict[int, tuple[str, Columns]] = {}

    def arrived(self, parcel: Parcel) -> None:
        """Take note of what the agent gives."""
        match parcel:
            case Layout():
                self._layouts[parcel.number] = parcel.name, columns(parcel)
            case Forget():
                for number in parcel.layouts:
                    self._layouts.pop(number, None)
            case Run():
                self._runs.append(parcel)
            case Page():
                self.page = parcel.text

    def unknown(self) -> list[int]:
        """Return the layouts of runs of which nothing is known: the agent will tell them, and ask again."""
        return sorted({run.layout for run in self._runs} - self._layouts.keys())

    def runs(self) -> list[Taken]:
        """Return the runs, whose layouts are known."""
        return list(map(self._taken, self._runs))

    def clear(self) -> None:
        """Forget what was given for a question that is answered; what was not taken is given again."""
        self._runs.clear()
        self.page = None

    def _taken(self, run: Run) -> Taken:
        name, known = self._layouts[run.layout]
        return Taken(run.second, name, known.with_values(run.values), run.at)
