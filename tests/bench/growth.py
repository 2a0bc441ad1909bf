"""100,000 ticks on an accelerated clock, with failures mixed in: does anything grow?"""

import asyncio
import json
import logging
import os
import random
import selectors
import statistics
import subprocess
import sys
import time

import bench
from bench import Row

TICKS = 100_000
FASTER = 40
COLLECTORS = 10
FAULTS = ("unavailable", "bug", "exit", "labels", "print", "hang")


def rows():
    """Measure the slopes of memory and descriptors over the second half of the ticks."""
    command = bench.python("growth.py")
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=bench.environment())
    told = json.loads(done.stdout)
    half = told["samples"][len(told["samples"]) // 2 :]
    ticks, memory, descriptors = zip(*half, strict=True)
    troubles = ", ".join(f"{count} {what}" for what, count in told["results"].items())
    for what, values, unit in (("PSS of the agent", memory, "MB"), ("descriptors", descriptors, "")):
        slope = statistics.linear_regression(ticks, values).slope * TICKS
        noise = statistics.stdev(values)
        beside = f"standard deviation {noise:.3g} {unit}".strip()
        yield Row(f"growth of {what} per 100,000 ticks", slope, unit, beside)
    yield Row("ticks of that run", told["ticks"], "", troubles)


class Faster(selectors.DefaultSelector):
    """A selector that waits less, as long as the clock runs faster."""

    def select(self, timeout=None):
        """Wait."""
        return super().select(timeout and timeout / FASTER)


class Loop(asyncio.SelectorEventLoop):
    """A loop whose clock runs faster."""

    def __init__(self):
        super().__init__(Faster())

    def time(self):
        """Return the time."""
        return time.monotonic() * FASTER


async def main():
    """Run ten collectors, some of which fail now and then, and look at the process."""
    from ticks import spec

    from rscollector.runtime.supervisor import Supervisor
    from rscollector.runtime.telemetry import Telemetry
    from rscollector.runtime.vitals import Vitals

    loop = asyncio.get_running_loop()
    supervisor = Supervisor("host", 10**5)
    telemetry = Telemetry(supervisor, Vitals(started=loop.time()))
    rng = random.Random(1)
    for number in range(COLLECTORS):
        fault = FAULTS[number] if number < len(FAULTS) else "fine"
        supervisor.add(
            _patient(spec("tame", f"i{number}", f"tame/i{number}", do=fault, first=rng.randint(20, 60)))
        )
    samples, ticks = [], 0
    while ticks < TICKS:
        await asyncio.sleep(20)
        telemetry.every_second(loop.time())
        supervisor.expire(loop.time())
        ticks = sum(each.machine.seq for each in supervisor.instances.values())
        samples.append((ticks, bench.proportional_memory([os.getpid()]), bench.descriptors(os.getpid())))
    results = sum(
        (each.results for each in supervisor.instances.values()), start=type(_first(supervisor).results)()
    )
    print(json.dumps({"ticks": ticks, "samples": samples, "results": results}))
    supervisor.bodies.kill_all()
    await supervisor.stop(500)


def _first(supervisor):
    return next(iter(supervisor.instances.values()))


def _patient(one):
    """Give it a deadline that holds on the faster clock, and no end of patience."""
    from dataclasses import replace

    policy = replace(one.policy, max_failures=10**9, max_hangs=10**9, backoff_max=5.0)
    return replace(one, policy=policy, timeout=2.0 * FASTER)


if __name__ == "__main__":
    logging.disable()
    sys.exit(asyncio.Runner(loop_factory=Loop).run(main()))
