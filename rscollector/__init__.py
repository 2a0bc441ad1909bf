"""rscollector: a metrics agent for the services that fail quietly.

A plugin imports `rscollector.api`, its tests `rscollector.testing`; everything else is the agent's own.
"""

__version__ = "0.1.0"
