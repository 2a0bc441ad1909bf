"""The collector `filesystem`.

The list of mounts is read where the agent's unit hides nothing, from process 1; whether a file system takes
writes stands in it. How full one is, it is asked by a child (`asking`): this process touches none of them.
"""

import os
from collections.abc import Iterator

from collectors.filesystem import mountinfo
from collectors.filesystem.asking import Asking
from collectors.filesystem.explain import explain, troubles
from collectors.filesystem.findings import Finding, found
from collectors.filesystem.kept import Kept
from collectors.filesystem.systems import FilesystemSettings, System, systems
from rscollector.api import Collector, Context, Namespace, Sample, Unavailable

MOUNT = Namespace("filesystem").info(
    "mount",
    "A file system: its device or server, its type, and whether an automounter has mounted it.",
    "mountpoint", "device", "type", "automounted",
)  # fmt: skip
FILESYSTEM = Namespace("filesystem", "mountpoint")
READ_ONLY = FILESYSTEM.gauge(
    "read_only",
    "Whether the file system itself takes no writes (1); a mount may forbid them beyond that.",
)
RESPONDING = FILESYSTEM.gauge(
    "responding",
    "Whether the file system answers (1), or not within half of the collect's time, or with an error (0); "
    "absent where it is not this user's to ask.",
)
SIZE = FILESYSTEM.gauge(
    "size_bytes", "Size of the file system; absent, as all below, where it does not tell."
)
FREE = FILESYSTEM.gauge("free_bytes", "What is free, the part that only root may use included.")
AVAILABLE = FILESYSTEM.gauge("available_bytes", "What is free for everybody.")
FILES = FILESYSTEM.gauge("files", "Inodes; absent where their number has no limit, as with btrfs.")
FILES_FREE = FILESYSTEM.gauge("files_free", "Inodes that are free.")

_HOST, _OWN = "/proc/1/mountinfo", "/proc/self/mountinfo"


class Filesystem(Collector[FilesystemSettings]):
    """File systems, local and remote: space, inodes, read-only or not, and whether they answer."""

    metrics = (MOUNT, READ_ONLY, RESPONDING, SIZE, FREE, AVAILABLE, FILES, FILES_FREE)
    Settings = FilesystemSettings

    def open(self, context: Context) -> None:
        """See which questions an earlier worker has left."""
        self._kept = Kept(context)
        self._asking = Asking(self._kept)

    def close(self) -> None:
        """Kill the children that ask; one that cannot be killed is left to the agent."""
        self._asking.close()

    def collect(self, context: Context) -> Iterator[Sample]:
        """Read which file systems there are, and ask each."""
        there = self._systems(context)
        answers = self._asking.ask(context, there)
        findings = [each for system in there if (each := found(system, answers.get(system.key)))]
        for each in findings:
            yield from _samples(each)
        for sentence in troubles(findings):
            context.note(sentence)
        context.say(*explain(findings))

    def _systems(self, context: Context) -> tuple[System, ...]:
        try:
            ours = mountinfo.read(context.path(_OWN))
        except OSError as error:
            raise Unavailable(f"cannot read {_OWN}: {error.strerror}") from error
        try:
            theirs = mountinfo.read(context.path(_HOST))
        except OSError as error:
            theirs = ours
            context.note(f"{_HOST}: {error.strerror}: only what the agent's own unit shows is known")
        found = systems(theirs, ours, self.settings, os.geteuid(), self._kept.names)
        self._kept.named(found)
        return found


def _samples(finding: Finding) -> Iterator[Sample]:
    system, space = finding.system, finding.space
    name = {"mountpoint": system.mountpoint}
    automounted = "yes" if system.automounted else "no"
    yield MOUNT(**name, device=system.source, type=system.type, automounted=automounted)
    yield READ_ONLY(int(system.read_only), **name)
    if finding.responding is not None:
        yield RESPONDING(int(finding.responding), **name)
    if space and space.size:
        yield SIZE(space.size, **name)
        yield FREE(space.free, **name)
        yield AVAILABLE(space.available, **name)
    if space and space.files:
        yield FILES(space.files, **name)
        yield FILES_FREE(space.files_free, **name)
