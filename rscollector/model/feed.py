"""What the agent hands to an instance."""

from enum import StrEnum


class Feed(StrEnum):
    """Every run of the others, the page of them, or nothing."""

    NOTHING = ""
    RUNS = "runs"
    PAGE = "page"
