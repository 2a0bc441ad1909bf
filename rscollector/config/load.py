"""Read `rscollector.toml` and `conf.d/*.toml` beside it into a `Config`, naming every mistake at once.

Two kinds of trouble are told apart. A *mistake* in the files (an unknown key, a wrong type) makes the whole
configuration invalid: the agent does not start with it and a reload keeps the old one. A *problem* of one
collector (its plugin cannot be imported, its password file cannot be read) stays with that collector, which
is shown as removed, with the reason; the others run.

This reads files and imports plugins, so it runs in the configuration process and in one-shot commands.
"""

import hashlib
import json
import os
import re
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from rscollector.config import registry
from rscollector.config.build import Builder, KeyPath, Unresolved, plain, shown, unknown
from rscollector.config.lines import lines_of
from rscollector.config.types import AgentSection, Common, Config, Isolation, Spec, WebSection, worker_name
from rscollector.model.errors import Misconfigured, fence
from rscollector.model.metrics import repaired

DEFAULT_FILE = Path("/etc/rscollector/rscollector.toml")
SECTIONS = ("agent", "web", "collector", "sink")
_GROUPS = {"collector": registry.COLLECTORS, "sink": registry.SINKS}
_SINKS_GRACE = 5.0  # seconds at the end in which a sink sends what it can
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_COMMON = tuple(each.name for each in fields(Common))


@dataclass(frozen=True, slots=True)
class Loaded:
    """The result: a configuration, or the mistakes that prevent one. Each line is a sentence for people."""

    config: Config | None
    mistakes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class _Files:
    """The files as one table, and where each key of it stands."""

    table: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, tuple[str, int]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def place(self, path: KeyPath) -> str:
        """Return file:line of a path, or of the nearest table above it that has one."""
        while path and path not in self.places:
            path = path[:-1]
        file, line = self.places.get(path, (self.names[0] if self.names else "configuration", 1))
        return f"{file}:{line}"


def load(path: Path | None) -> Loaded:
    """Load the file at `path` and its `conf.d`; without a path the default file, if there is one."""
    found = _Files()
    if path is None and _is_absent(DEFAULT_FILE):
        text = package_files("rscollector.config").joinpath("default.toml").read_text("utf-8")
        _add(found, "built-in configuration", text)
        found.names.clear()
    else:
        _read_all(found, path or DEFAULT_FILE)
    builder = Builder(secret_text)
    config, problems = _config(found, builder)
    mistakes = sorted([*found.mistakes, *_sentences(found, builder)], key=_file_and_line)
    return Loaded(None if mistakes else config, tuple(mistakes), tuple(problems))


def _is_absent(path: Path) -> bool:
    try:
        return not path.exists()
    except OSError:
        return False  # it may be there: reading it will say why it cannot be read


def _sentences(found: _Files, builder: Builder) -> list[str]:
    return [f"{found.place(path)}: {'.'.join(path)}: {reason}" for path, reason in builder.faults]


def _file_and_line(sentence: str) -> tuple[str, int, str]:
    file, line, *_ = (*sentence.split(":", 2), "")
    return file, int(line) if line.isdigit() else 0, sentence


def _read_all(found: _Files, path: Path) -> None:
    for file in (path, *_beside(found, path.parent / "conf.d")):
        try:
            _add(found, str(file), file.read_text("utf-8"))
        except OSError as error:
            found.mistakes.append(f"{file}: cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            found.mistakes.append(f"{file}: is not UTF-8: byte {error.start} is {byte:#x}")


def _beside(found: _Files, directory: Path) -> list[Path]:
    """List conf.d without what an editor hides there; glob would pass over a closed directory."""
    try:
        return sorted(each for each in directory.iterdir() if re.fullmatch(r"[^.].*\.toml", each.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        found.mistakes.append(f"{directory}: cannot be read: {error.strerror}")
        return []


def _add(found: _Files, name: str, text: str) -> None:
    found.names.append(name)
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number or a nesting that is too long for Python
        found.mistakes.append(f"{name}: is not TOML: {error}")
        return
    lines = {key: (name, line) for key, line in lines_of(text).items()}
    _merge(found, found.table, table, (), lines)
    for key, place in lines.items():
        found.places.setdefault(key, place)


def _merge(
    found: _Files, into: dict[str, Any], table: Mapping[str, Any], path: KeyPath, lines: dict[Any, Any]
) -> None:
    for key, value in table.items():
        here = (*path, key)
        is_instance = len(here) == 3 and here[0] in _GROUPS
        if key not in into:
            into[key] = dict(value) if isinstance(value, dict) else value
        elif isinstance(value, dict) and isinstance(into[key], dict) and not is_instance:
            _merge(found, into[key], value, here, lines)
        else:
            file, line = lines[here]
            found.mistakes.append(f"{file}:{line}: {'.'.join(here)}: is set already, at {found.place(here)}")


def _config(found: _Files, builder: Builder) -> tuple[Config, list[str]]:
    table = found.table
    for key in table.keys() - set(SECTIONS):
        builder.fault((key,), unknown(key, SECTIONS))
    agent_table, agent_path = table.get("agent", {}), ("agent",)
    agent = builder.table(AgentSection, agent_table, agent_path, also=_COMMON) or AgentSection()
    own = [each.name for each in fields(AgentSection)]
    common = _part(builder, agent_table, agent_path, own) or Common()
    web = builder.table(WebSection, table.get("web", {}), ("web",)) or WebSection()
    host = agent.host or socket.gethostname()
    specs, problems = _specs(builder, "collector", table.get("collector", {}), common, agent.isolation)
    sinks, more = _specs(builder, "sink", table.get("sink", {}), common, agent.isolation)
    specs += [_for_sink(spec, host, agent.tags) for spec in sinks]
    problems += more
    config = Config(
        host=host,
        tags=agent.tags,
        max_series_total=agent.max_series_total,
        listen=tuple(str(each) for each in web.listen),
        specs=tuple(specs),
        files=tuple(map(repaired, found.names)),
    )
    return config, [f"{found.place(path)}: {'.'.join(path)}: {reason}" for path, reason in problems]


def _part(builder: Builder, table: object, path: KeyPath, others: list[str]) -> Any:
    """Build the common settings out of a table that holds others too, whose faults are reported elsewhere."""
    if not isinstance(table, Mapping):
        return None
    return builder.table(Common, {k: v for k, v in table.items() if k in _COMMON}, path, also=others)


def _for_sink(spec: Spec, host: str, tags: dict[str, str]) -> Spec:
    policy = replace(spec.policy, grace=_SINKS_GRACE)
    kind = "runs" if registry.is_sink_of_runs(spec.type, spec.plugin) else "page"
    mine = replace(spec, worker=f"sink/{spec.key}", policy=policy, sink=kind, host=host, tags=tags, digest="")
    return replace(mine, digest=_digest(mine))


def _specs(
    builder: Builder, section: str, table: object, common: Common, isolation: Isolation
) -> tuple[list[Spec], list[tuple[KeyPath, str]]]:
    specs: list[Spec] = []
    problems: list[tuple[KeyPath, str]] = []
    types = registry.installed(_GROUPS[section])
    for type_, instances in _tables(builder, table, (section,)):
        if type_ not in types:
            reason = unknown(type_, types).replace("unknown key", f"no such {section} is installed")
            builder.fault((section, type_), reason)
            continue
        for name, settings in _tables(builder, instances, (section, type_)):
            path = (section, type_, name)
            if not _NAME.fullmatch(name):
                builder.fault(path, "a name has letters, digits and _ . - after a letter or digit")
                continue
            spec = _spec(builder, path, settings, common, isolation)
            specs.append(spec)
            if spec.problem:
                problems.append((path, spec.problem))
    return specs, problems


def _tables(builder: Builder, table: object, path: KeyPath) -> list[tuple[str, Any]]:
    if isinstance(table, Mapping):
        return list(table.items())
    builder.fault(path, f"expected a table such as [{'.'.join((*path, 'main')[:3])}], not {shown(table)}")
    return []


def _spec(builder: Builder, path: KeyPath, table: object, common: Common, isolation: Isolation) -> Spec:
    section, type_, name = path
    if not isinstance(table, Mapping):
        builder.fault(path, f"expected a table, not {shown(table)}")
        table = {}
    own = _part(builder, table, path, list(table))
    given = {key: getattr(own, key) for key in table if key in _COMMON} if own else {}
    mine = replace(common, **given)
    plugin = registry.installed(_GROUPS[section])[type_]
    settings, local, problem = _settings(builder, path, table, plugin)
    spec = Spec(
        type_,
        name,
        float(mine.interval),
        float(mine.seconds),
        mine.max_series,
        int(mine.max_memory),
        mine.policy,
        settings,
        worker_name(f"{type_}/{name}", local=local, isolation=isolation),
        plugin,
        problem,
    )
    return replace(spec, digest=_digest(spec))


def _settings(
    builder: Builder, path: KeyPath, table: Mapping[str, Any], place: str
) -> tuple[dict[str, Any], bool, str]:
    """Build the plugin's settings; return them plain, whether it is local, and what prevents its opening."""
    try:
        plugin = registry.load(path[1], place)
    except Misconfigured as error:
        return {}, False, str(error)
    before = len(builder.problems)
    own = {key: value for key, value in table.items() if key not in _COMMON}
    built = None
    with fence() as caught:
        built = builder.table(plugin.Settings, own, path, also=_COMMON)
    problems = [f"{'.'.join(each.path[3:])}: {each.reason}" for each in builder.problems[before:]]
    problems += [f"the plugin's settings are wrong: {type(each).__name__}: {each}" for each in caught]
    return plain(built) if built else {}, plugin.local, "; ".join(problems)


def secret_text(value: object) -> str:
    """Read a secret from the place that its table names."""
    if not (isinstance(value, Mapping) and len(value) == 1):
        raise ValueError(_PLACE)
    ((source, name),) = value.items()
    if source not in ("file", "env", "credential") or not isinstance(name, str):
        raise ValueError(_PLACE)
    if source == "env":
        if name not in os.environ:
            raise Unresolved(f"the environment variable {name} is not set")
        return os.environ[name]
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if source == "credential" and directory is None:
        raise Unresolved(f"the credential {name!r} is not there: systemd has passed none")
    file = Path(directory or "/", name) if source == "credential" else Path(name)
    try:
        return file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Unresolved(f"the secret in {file} cannot be read: {why}") from None


_PLACE = 'a secret\'s place: { file = "…" }, { env = "…" } or { credential = "…" }'


def _digest(spec: Spec) -> str:
    text = json.dumps(asdict(spec), sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
