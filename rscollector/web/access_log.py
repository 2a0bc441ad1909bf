"""The access log of a listener: a line for each request, and for each client that did not come so far.

Of those who are refused ten a second have a line, and with the next it is told how many had none: a flood of
lines would leave no room in the journal, nor in our own queue before it, for what else there is to say.
"""

import logging
import time

from rscollector.model.texts import one_line
from rscollector.web.rates import Buckets

log = logging.getLogger("rscollector.web.access")

_LONGEST = 200
_PER_SECOND, _AT_ONCE = 10, 100


class AccessLog:
    """Writes these lines where they are wanted."""

    def __init__(self) -> None:
        self.is_wanted = False
        self._refused = Buckets(1 / _PER_SECOND, _AT_ONCE)
        self._without = 0

    def write(self, who: str, how: str, *, is_in: bool) -> None:
        """Write who has asked (for what), and how it ended; both may be a stranger's text."""
        if not self.is_wanted:
            return
        more = ""
        if not is_in:
            if self._refused.take("", time.monotonic()) > 0:
                self._without += 1
                return
            if self._without:
                more = f" ({self._without} refusals before this one have no line)"
            self._without = 0
        log.info("%s: %s%s", one_line(who, _LONGEST), one_line(how), more)
