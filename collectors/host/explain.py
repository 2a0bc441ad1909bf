"""The numbers in plain language: sentences, each with the file from which it is read. Pure."""

from collections.abc import Iterator

from collectors.host import clock, cpu, disks, kernel, memory, network, pressure, raid
from collectors.host.look import Look

_BUSY = 0.9
_SLOW = 0.1  # seconds for a read
_PRESSED = 0.1
_NEARLY_FULL = 0.8
_AGAIN, _FEW = 0.02, 10  # of the segments; with fewer, a share says nothing
_SYNC = {"recover": "rebuild"}
_WAITED_FOR = {"cpu": "a CPU", "memory": "memory", "io": "a disk", "irq": "interrupts"}


def explain(look: Look, offset_from: str) -> Iterator[str]:
    """Yield what the samples mean, trouble first; `offset_from` says whose word the clock's offset is."""
    for part in (_killed, _arrays, _pressed, _swapping, _tables, _network, _disks):
        yield from part(look)
    yield from _clock(look, offset_from)
    for part in (_cpu, _memory):
        yield from part(look)


def _killed(look: Look) -> Iterator[str]:
    if killed := look.grown(memory.OOM_KILLS):
        yield (
            f"In the last {look.seconds:.0f} s the kernel has killed {killed:.0f} processes for want of "
            "memory (oom_kill in /proc/vmstat)."
        )
    elif killed := look.now(memory.OOM_KILLS) or 0:
        yield (
            f"Since boot the kernel has killed {killed:.0f} processes for want of memory "
            "(oom_kill in /proc/vmstat)."
        )


def _arrays(look: Look) -> Iterator[str]:
    names = {each.values[0]: each.values[1] for each in look.of(raid.ARRAY)}
    for each in look.of(raid.STATE):
        (device,) = each.values
        source = f"({raid.BLOCK}/{device}/md)"
        array = f"The array {device}" + (f", {names[device]}," if names.get(device) else "")
        if each.value in ("inactive", "broken"):
            yield f"{array} is {each.value}: nobody can use it {source}."
        if lacking := look.now(raid.DEGRADED, device):
            yield f"{array} lacks {lacking:.0f} of {look.now(raid.DISKS, device) or 0:.0f} disks {source}."
        for sync in look.of(raid.SYNC):
            if sync.values[0] == device:
                done = look.now(raid.SYNC, *sync.values) or 0
                yield f"{array} is at {done:.1%} of a {_SYNC.get(sync.values[1], sync.values[1])} {source}."


def _pressed(look: Look) -> Iterator[str]:
    for resource, what in _WAITED_FOR.items():
        some, full = (look.rate(pressure.PRESSURE, resource, share) for share in ("some", "full"))
        if max(some, full) >= _PRESSED:
            told = f"at least one task waited for {what}" if some else f"all tasks waited for {what}"
            more = f", for {min(full, 1):.0%} all that had work" if some and full >= _PRESSED else ""
            source = f"{pressure.DIRECTORY}/{resource}"
            yield f"Under pressure: for {min(max(some, full), 1):.0%} of the time {told}{more} ({source})."


def _swapping(look: Look) -> Iterator[str]:
    read, written = look.rate(memory.SWAPPED_IN), look.rate(memory.SWAPPED_OUT)
    if read or written:
        source = "pswpin, pswpout in /proc/vmstat"
        yield f"Swapping: {read:.0f} pages a second are read, {written:.0f} written ({source})."


def _tables(look: Look) -> Iterator[str]:
    for what, used, limit, source in (
        (
            "connections that may be tracked",
            network.TRACKED,
            network.TRACKED_LIMIT,
            network.CONNTRACK[0].path,
        ),
        ("files that may be open", kernel.ALLOCATED, kernel.LIMIT, kernel.FILES.path),
    ):
        now, most = look.now(used), look.now(limit)
        if now is not None and most and now / most >= _NEARLY_FULL:
            yield f"Of the {most:.0f} {what}, {now / most:.0%} are there ({source})."


def _network(look: Look) -> Iterator[str]:
    if rate := look.rate(network.OVERFLOWS):
        yield (
            f"{rate:.1f} connections a second are lost, for a program does not accept them in time "
            f"(ListenOverflows in {network.NETSTAT.path})."
        )
    if rate := look.rate(network.DROPPED):
        yield f"CPUs lose {rate:.1f} packets a second, for their queues are full ({network.SOFTNET})."
    for family, source in network.DATAGRAMS_LOST.items():
        if rate := look.rate(network.UDP_ERRORS, family):
            yield (
                f"{rate:.1f} datagrams of {family} a second are lost, for a program does not read in "
                f"time ({source})."
            )
    sent, again = look.grown(network.SENT), look.grown(network.RETRANSMITTED)
    if again > _AGAIN * (sent + again) and again > _FEW:
        share = again / (sent + again)
        yield f"{share:.1%} of the segments of TCP are sent again (RetransSegs in {network.SNMP.path})."


def _disks(look: Look) -> Iterator[str]:
    for each in look.of(disks.BUSY):
        (device,) = each.values
        busy = min(look.rate(disks.BUSY, device), 1)
        took = {
            word: look.grown(seconds, device) / number
            for word, seconds, count in (
                ("read", disks.READ_SECONDS, disks.READS),
                ("write", disks.WRITE_SECONDS, disks.WRITES),
            )
            if (number := look.grown(count, device))
        }
        if busy >= _BUSY or took.get("read", 0) >= _SLOW:
            times = "".join(f", a {word} takes {_time(seconds)}" for word, seconds in took.items())
            yield f"The disk {device} has something under way {busy:.0%} of the time{times} ({disks.PATH})."


def _clock(look: Look, offset_from: str) -> Iterator[str]:
    synchronized, error, offset = (look.now(each) for each in (clock.SYNCHRONIZED, clock.ERROR, clock.OFFSET))
    if synchronized is not None:
        if synchronized:
            yield f"The clock is synchronised, and off by at most {_time(error or 0)} (adjtimex)."
        elif error is not None and error < clock.UNKNOWN_ERROR:
            yield (
                f"The clock is kept, and off by at most {_time(error)}, but the kernel was not told that it "
                "is synchronised (adjtimex; chrony does not without rtcsync)."
            )
        else:
            yield "The clock is not synchronised, says the kernel (adjtimex)."
    if offset is not None:
        yield f"The clock is {_time(abs(offset))} {'behind' if offset > 0 else 'ahead'} ({offset_from})."


def _cpu(look: Look) -> Iterator[str]:
    grown = {mode: look.grown(cpu.CPU, mode) for mode in cpu.MODES}
    source = f"{cpu.FACTS.path}, the last {_time(look.seconds)}"
    if total := sum(grown.values()):
        busy = total - grown["idle"]
        told = f"CPU {busy / total:.0%} busy"
        if busy and grown["iowait"] / busy >= _PRESSED:
            told += f", {grown['iowait'] / busy:.0%} of it waiting for a disk"
        if grown["steal"] / total >= _PRESSED:
            told += f"; {grown['steal'] / total:.0%} of the time went to others on the same machine"
        yield f"{told} ({source})."
    cpus, load = look.now(cpu.CPUS), look.now(cpu.LOAD.table.metrics[0])
    if cpus and load is not None:
        yield f"The load is {load:.1f}, on {cpus:.0f} CPUs ({cpu.LOAD.path})."


def _memory(look: Look) -> Iterator[str]:
    available, total = look.now(memory.AVAILABLE), look.now(memory.TOTAL)
    if available is not None and total:
        source = f"MemAvailable in {memory.MEMINFO.path}"
        yield f"Memory: {available / total:.0%} available, {_size(available)} of {_size(total)} ({source})."


def _time(seconds: float) -> str:
    """Return a time as people say it."""
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 0.9995 * size:  # what would be rounded to 1e+03 of the next smaller one
            number = seconds / size
            return f"{number:.3g} {unit}" if number < 999.5 else f"{number:.0f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def _size(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
