"""Which boot of this host it is: what was kept in an earlier one had other processes and other clocks."""

from pathlib import Path

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def boot_id(file: Path = Path(BOOT_ID)) -> str:
    """Return the id that the kernel has given this boot, "" where it does not tell."""
    try:
        return file.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
