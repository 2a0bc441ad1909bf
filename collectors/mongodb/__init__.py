"""A mongod or mongos: the server, its replica set as it sees it, and how far each member is behind."""

import pymongo  # noqa: F401 - before its part bson, which is no package's name: when it is missing, it is told

from collectors.mongodb.collector import MongoDB

__all__ = ["MongoDB"]
