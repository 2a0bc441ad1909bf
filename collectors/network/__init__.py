"""Network interfaces and bonds: frames, errors, losses, links, and what LACP has come to."""

from collectors.network.collector import Network

__all__ = ["Network"]
