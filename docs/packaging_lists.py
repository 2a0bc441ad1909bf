"""What the Debian package, pip and the unit need to know of each collector, from what it declares."""

import textwrap
from pathlib import Path

from declared import ROOT, everything, folder, folders

from rscollector.api import DropIn

_WIDTH = 110
_UNIT = "/etc/systemd/system/rscollector.service.d"


def recommended() -> str:
    """Return the packages of debian/control's Recommends."""
    found = {package.debian for each in everything().values() for package in each.needs.packages}
    found.add("python3-bcrypt")  # for the passwords of whoever asks the agent
    return "Recommends:\n" + "\n".join(f" {name}," for name in sorted(found))


def extras() -> str:
    """Return pip's extras: one for each type that needs a package, and `all`."""
    found: dict[str, set[str]] = {}
    for (_, type_), plugin in everything().items():
        for each in plugin.needs.packages:
            for extra in (type_, "all"):
                found.setdefault(extra, set()).add(each.pypi)
    return "\n".join(f"{name} = {_toml(sorted(each))}" for name, each in sorted(found.items()))


def _toml(texts: list[str]) -> str:
    return "[" + ", ".join(f'"{each}"' for each in texts) + "]"


def groups() -> str:
    """Return the lines of the package's postinst that join groups where a program is."""
    return "\n".join(f"    join {program} {' '.join(names)}" for program, names in _joined().items())


def triggers() -> str:
    """Return the package's triggers: when a program comes later, its groups are joined then."""
    return "\n".join(f"interest-noawait {program}" for program in _joined())


def _joined() -> dict[str, list[str]]:
    """Return by program the groups of all who need any where it is."""
    found: dict[str, list[str]] = {}
    for wanted in (each.needs for each in everything().values() if each.needs.groups):
        groups = found.setdefault(wanted.program, [])
        groups += [each for each in wanted.groups if each not in groups]
    return dict(sorted(found.items()))


def examples() -> dict[Path, str]:
    """Return the examples of the package: a configuration, and drop-ins for the unit."""
    place = ROOT / "debian" / "examples"
    drop_ins = {
        place / f"{type_}-{each.name}.conf": _drop_in(type_, each)
        for (_, type_), plugin in everything().items()
        for each in plugin.needs.drop_ins
    }
    return {place / "rscollector.toml": _configuration(), **drop_ins}


def _configuration() -> str:
    """Return the examples of all of them. They are not in /etc: of what changes there, dpkg asks."""
    texts = [(folder(type_) / "example.toml").read_text("utf-8").strip() for type_ in folders("example.toml")]
    head = (
        "# Examples of all collectors and sinks; their settings: rscollector.toml(5). Written by `make docs`."
    )
    return "\n\n".join((head, *texts)) + "\n"


def _drop_in(type_: str, wanted: DropIn) -> str:
    name = f"{type_}-{wanted.name}.conf"
    why = f"{wanted.why} It holds for the whole service, so every collector and sink gets it."
    text = [
        f"# {_UNIT}/{name}",
        "# Written by `make docs`.",
        "#",
        textwrap.fill(why, _WIDTH, initial_indent="# ", subsequent_indent="# "),
        "[Service]",
    ]
    if wanted.capabilities:
        listed = " ".join(wanted.capabilities)
        text += [f"CapabilityBoundingSet={listed}", f"AmbientCapabilities={listed}"]
    if wanted.families:
        text.append(f"RestrictAddressFamilies={' '.join(wanted.families)}")
    text += [f"DeviceAllow={device}" for device in wanted.devices]
    return "\n".join(text) + "\n"


def needs() -> list[tuple[str, str, str]]:
    """Return rows: for whom, what it needs, and how it gets that."""
    rows = []
    for (_, type_), plugin in everything().items():
        wanted = plugin.needs
        rows += [
            (type_, f"`{each.debian}`", f"recommended by the package; with pip `rscollector[{type_}]`")
            for each in wanted.packages
        ]
        named = ", ".join(f"`{group}`" for group in wanted.groups)
        if named:
            rows.append(
                (type_, f"the groups {named}", f"joined when `{wanted.program}` is or comes to be installed")
            )
        for each in wanted.drop_ins:
            what = ", ".join(f"`{name}`" for name in (*each.capabilities, *each.families, *each.devices))
            rows.append((type_, f"{what}, if wanted: not by default", f"`examples/{type_}-{each.name}.conf`"))
    return rows
