"""Another host's files: what a collector reads below `context.root`."""

import shutil
from os import PathLike
from pathlib import Path


class Root:
    """A host that is a directory: the test writes the files that its kernel and its services would show.

        root = Root(tmp_path)
        root.write("proc/loadavg", "0.1 0.2 0.3 1/100 42\\n")
        collect(Load, context=FakeContext(root=root))

    A name is relative to the root, as in `proc/loadavg`. One that leads out of it, by itself or by a link, is
    a ValueError: no test writes to the host that it runs on.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self.path.mkdir(parents=True, exist_ok=True)

    def __fspath__(self) -> str:
        return str(self.path)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file, and the directories above it; return its path."""
        path = self._place(name, follow=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def symlink(self, name: str, target: str) -> Path:
        """Make a link to a target, which is relative to the link's directory; return the link's path."""
        path = self._place(name)
        self._inside(path.parent / target, f"{name} -> {target}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        return path

    def remove(self, name: str) -> None:
        """Remove a file, a link, or a directory with all that is in it."""
        path = self._place(name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def copy(self, tree: str | PathLike[str], name: str = ".") -> Path:
        """Copy what a directory holds, such as a recorded host, over what is there; return where it is now.

        Links are followed, so that what is copied stays within the root.
        """
        return Path(shutil.copytree(tree, self._place(name, follow=True), dirs_exist_ok=True))

    def _place(self, name: str, *, follow: bool = False) -> Path:
        """Return the path of a name. What will be followed may not be a link out of the root either."""
        path = self.path / name
        self._inside(path if follow else path.parent, name)
        return path

    def _inside(self, path: Path, shown: str) -> None:
        """Raise ValueError for a path that is not beneath the root, once its links are followed."""
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise ValueError(f"{shown} leads out of the root: a name is relative to it, as in proc/loadavg")
