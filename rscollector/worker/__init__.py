"""The other side of the wire: the process that may block, with collectors and their drivers in it."""
