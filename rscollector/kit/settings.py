"""Settings that are made of parts: each part checks its own, in whatever order they are inherited."""


class Checked:
    """The end of the chain: each part's `__post_init__` calls that of the next one."""

    def __post_init__(self) -> None:
        """Check what belongs to this part. Raises ValueError."""
