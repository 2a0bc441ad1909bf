"""Contents of batches in memory."""

from collections import OrderedDict

from rscollector.sinks.batches import Content

_MOST = 4 << 20


class Remembered:
    """Contents that need not be read again, a few bytes of them, and those that are on no disk."""

    def __init__(self) -> None:
        self._recent: OrderedDict[int, tuple[Content, int]] = OrderedDict()
        self._held: dict[int, Content] = {}
        self._size = 0

    def put(self, number: int, content: Content, size: int, *, held: bool = False) -> None:
        """Remember a batch's content."""
        self.pop(number)
        if held:
            self._held[number] = content
            return
        self._recent[number] = content, size
        self._size += size
        while self._size > _MOST:
            _, (_, gone) = self._recent.popitem(last=False)
            self._size -= gone

    def get(self, number: int) -> Content | None:
        """Return a batch's content, None if it has to be read."""
        recent = self._recent.get(number)
        return recent[0] if recent else self._held.get(number)

    def pop(self, number: int) -> None:
        """Forget a batch's content."""
        _, size = self._recent.pop(number, (None, 0))
        self._size -= size
        self._held.pop(number, None)

    def release(self, number: int, size: int) -> None:
        """Take note that a content is on the disk now."""
        if content := self._held.get(number):
            self.put(number, content, size)
