"""A node of a Galera cluster: what it is, what it sees of the others, and whether it keeps up."""

from collectors.galera.collector import Galera

__all__ = ["Galera"]
