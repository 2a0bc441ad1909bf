"""Names that are bytes to the kernel, of links, mounts and files, as labels."""


def shown(raw: bytes) -> str:
    """Return a name as a label, one line; what is no UTF-8 or cannot be printed is as in Python (`\\xff`)."""
    text = raw.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else repr(raw)[2:-1]
