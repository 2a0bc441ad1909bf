"""From the configuration files to a `Config`, naming every mistake at once.

Two kinds of trouble are told apart. A *mistake* in the files (an unknown key, a wrong type) makes the whole
configuration invalid: the agent does not start with it and a reload keeps the old one. A *problem* of one
collector (its plugin cannot be imported, its password file cannot be read) stays with that collector: the
worker that opens it meets the same, or finds it mended. The others run.

This reads files, so it runs in the configuration process and in one-shot commands. Plugins are imported in
children of that (`plugins`), and so are secrets looked at.
"""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rscollector.config.build import Builder, unknown
from rscollector.config.files import Files, read
from rscollector.config.listeners import Web, listeners, readable_users
from rscollector.config.secrets import unread
from rscollector.config.specs import Specs
from rscollector.config.types import DEFAULT_FILE, AgentSection, Common, Config
from rscollector.model.texts import LONGEST_NOTE, one_line

SECTIONS = ("agent", "web", "collector", "sink")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The result: a configuration, or the mistakes that prevent one. Each line is a sentence for people."""

    config: Config | None
    mistakes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


def load(path: Path | None) -> Loaded:
    """Load the file at `path` and its `conf.d`; without a path the default file, if there is one."""
    files = read(path)
    builder = Builder(unread)
    config, specs, web = _config(files, builder, (path or DEFAULT_FILE).absolute().parent)
    faults = map(files.sentence, builder.faults)
    mistakes = sorted([*files.mistakes, *faults, *web.mistakes], key=_file_and_line)
    problems, hints = (map(files.sentence, each) for each in (specs.problems, [*web.noted, *specs.hints]))
    told = map(_shown, (mistakes, problems, [*web.hints, *readable_users(files.places), *hints]))
    return Loaded(None if mistakes else config, *told)


def again(web: Mapping[str, Any]) -> Loaded:
    """Read the files anew that `[web]` names, and nothing else; `web` is as `Config.web` has it.

    The configuration has what they say, and is else an empty one.
    """
    builder = Builder(unread)
    found = listeners(builder, web["table"], Path(web["directory"]))
    mistakes = (*found.mistakes, *(f"{'.'.join(each.path)}: {each.reason}" for each in builder.faults))
    return Loaded(None if mistakes else Config(listeners=found.listeners, seen=found.seen), _shown(mistakes))


def _shown(sentences: Iterable[str]) -> tuple[str, ...]:
    return tuple(one_line(sentence, LONGEST_NOTE) for sentence in sentences)


def _config(files: Files, builder: Builder, directory: Path) -> tuple[Config, Specs, Web]:
    table = files.table
    for key in table.keys() - set(SECTIONS):
        builder.fault((key,), unknown(key, SECTIONS))
    common, rest = builder.part(Common(), table.get("agent", {}), ("agent",))
    agent = builder.table(AgentSection, rest, ("agent",), beside=Common) or AgentSection()
    agent = replace(agent, host=agent.host or one_line(socket.gethostname()))
    web = listeners(builder, table.get("web", {}), directory)
    specs = Specs(builder, agent, common)
    for section in ("collector", "sink"):
        specs.add(section, table.get(section, {}))
    config = Config(
        host=agent.host,
        tags=agent.tags,
        max_series_total=agent.max_series_total,
        listeners=web.listeners,
        web={"table": table.get("web", {}), "directory": str(directory)} if web.seen else {},
        seen=web.seen,
        specs=specs.build(files.places),
        files=_shown(files.names),
        settings=specs.settings,
        alerts=specs.alerts,
    )
    return config, specs, web


def _file_and_line(sentence: str) -> tuple[str, int, str]:
    file, line, *_ = (*sentence.split(":", 2), "")
    return file, int(line) if line.isdecimal() else 0, sentence
