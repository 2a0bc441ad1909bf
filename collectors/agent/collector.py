"""The collector `agent`.

It runs in a worker, so it finds the agent by the process id that its context tells, and the workers as that
process's children. A worker's name is the argument behind `rscollector.worker` in its command line.
Memory is shown twice: resident (what `ps` says; shared pages count in every process) and proportional
(shared pages are divided among their users, so that the sum over processes is what the agent costs).
"""

from collections.abc import Iterator

import psutil

from rscollector.api import Collector, Context, Namespace, NoSettings, Sample

PROCESS = Namespace("agent_process", "process")
RESIDENT = PROCESS.gauge(
    "resident_memory_bytes", 'Resident memory of the agent (process="agent") or of one of its workers.'
)
PROPORTIONAL = PROCESS.gauge(
    "proportional_memory_bytes",
    "Memory of the process, with shared pages divided among the processes that share them.",
)
CPU = PROCESS.counter("cpu_seconds", "User and system CPU time of the process since it was started.")
OPEN_FILES = PROCESS.gauge("open_fds", "Open file descriptors of the process.")
THREADS = PROCESS.gauge("threads", "Threads of the process.")

_WORKER_MODULE = "rscollector.worker"


class Agent(Collector[NoSettings]):
    """The agent's own processes: memory, CPU time, open files and threads of the agent and each worker."""

    metrics = (RESIDENT, PROPORTIONAL, CPU, OPEN_FILES, THREADS)
    local = True

    def collect(self, context: Context) -> Iterator[Sample]:
        """Read /proc for the agent and its children."""
        agent = psutil.Process(context.agent)
        yield from _samples(agent, "agent")
        for child in agent.children():
            try:
                name = worker_name(child.cmdline())
                samples = list(_samples(child, name)) if name else []
            except (psutil.NoSuchProcess, psutil.ZombieProcess):  # it has just ended
                continue
            yield from samples


def _samples(process: psutil.Process, name: str) -> Iterator[Sample]:
    with process.oneshot():
        memory = process.memory_full_info()
        cpu = process.cpu_times()
        yield RESIDENT(memory.rss, process=name)
        yield PROPORTIONAL(memory.pss, process=name)
        yield CPU(cpu.user + cpu.system, process=name)
        yield OPEN_FILES(process.num_fds(), process=name)
        yield THREADS(process.num_threads(), process=name)


def worker_name(command: list[str]) -> str:
    """Return the name of the worker that was started with this command line, "" if it is none."""
    if _WORKER_MODULE not in command[:-1]:
        return ""
    return command[command.index(_WORKER_MODULE) + 1]
