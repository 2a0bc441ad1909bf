"""A mongod or mongos: the server, its replica set as it sees it, and how far each member is behind."""

from collectors.mongodb.collector import MongoDB

__all__ = ["MongoDB"]
