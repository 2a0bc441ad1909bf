"""Where samples are sent: each sink in a worker of its own, with a spool for what is not acknowledged."""
