"""How long an end may take, in one place, because these times contain each other. All are seconds.

    ├── SINK_SENDS ──┤        a sink has sent what it can, and returns from `close`
    ├── SINK_CLOSES ───────┤  one that has not is killed
    ├── AGENT_STOPS ───────┤  an agent that ends waits no longer, and kills all workers that are left

A sink gives up a second before it is killed, so that it ends well: with the answer to its last request read,
and its spool unlocked. The agent gives a sink no less when it stops itself than when only the sink ends. It
is gone within ten seconds, and a service manager has to allow more than that (`TimeoutStopSec` of the unit).

A worker that was hung up on ends by itself; one that has not after WORKER_ENDS is killed. How long a
collector's `close` may take is the lifecycle's to know: `Policy.grace`.
"""

SINK_SENDS = 4.0
SINK_CLOSES = SINK_SENDS + 1.0
AGENT_STOPS = SINK_CLOSES
WORKER_ENDS = 2.0
