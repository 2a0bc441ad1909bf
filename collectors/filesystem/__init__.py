"""File systems: space, inodes, whether they take writes, and whether they answer; no hung one holds us up."""

from collectors.filesystem.collector import Filesystem

__all__ = ["Filesystem"]
