"""What the agent and a worker say to each other: JSON objects, one per line, over a socketpair.

    worker → agent   hello    wire                    the version, ahead of all else, in this form for ever
                     metrics  seq metrics             the declarations, in as many lines as it takes
                     opened   seq feed
                     rows     seq rows                a new layout, in as many lines as it takes
                     values   seq values              the values, in the order of the layout, likewise
                     done     seq taken layout memory notes sentences degraded reason
                     hide     seq texts               these are secrets: mask them from now on, and ask again
                     unknown  seq layouts             these layouts are: tell them, and ask again
                     failed   seq taken kind reason traceback
                     closed   seq taken
    agent → worker   open     seq instance timeout, and what does not change while it is open
                     collect  seq instance timeout rows layout explain
                     close    seq instance timeout
    agent → sink, ahead of a question
                     layout   number name metrics rows
                     run      second at layout values
                     forget   layouts
                     page     text

A worker is serial: it answers each question before it reads the next. It sends no line longer than
`MAX_LINE`, and one that does is not trusted any more: a line of 1 GB would cost 2 GB and stall the loop for
3 s. The agent's own lines may be longer.

*Each thing is told once.* From one run to the next mostly the values change. So the series of a run (its
layout: metrics and label values, in order) are told once and get a number; a run is then that number and an
array. A question to collect names the layout that the agent still has, and the worker tells the layout only
where it has another. A sink's worker is told of a layout ahead of the first run that has it, and says which
it does not know.

*Secrets are told before they can be seen.* The agent masks whatever comes from a worker, be it an answer or
what a library prints when it crashes; so it knows the secrets before any code of the plugin that has asked
for them runs with them.

*An answer says what was taken*: of the runs that went ahead of a question the first so many, and whatever
is not taken is given again.

Pure: bytes in, values out. The agent and the worker import this room, and it knows neither.
"""

MOST_NOTES = 10
MOST_SENTENCES = 50
VERSION = 4
"""Raised when a message changes, so that a worker of another version of the package is not misunderstood."""
