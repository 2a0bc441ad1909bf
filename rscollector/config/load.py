"""From the configuration files to a `Config`, naming every mistake at once.

Two kinds of trouble are told apart. A *mistake* in the files (an unknown key, a wrong type) makes the whole
configuration invalid: the agent does not start with it and a reload keeps the old one. A *problem* of one
collector (its plugin cannot be imported, its password file cannot be read) stays with that collector: the
worker that opens it meets the same, or finds it mended. The others run.

This reads files, so it runs in the configuration process and in one-shot commands. Plugins are imported in
children of that (`plugins`), and so are secrets looked at.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from rscollector.config.build import Builder, unknown
from rscollector.config.files import Files, read
from rscollector.config.secrets import unread
from rscollector.config.specs import Specs
from rscollector.config.types import AgentSection, Common, Config, WebSection
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
    config, specs = _config(files, builder)
    mistakes = sorted([*files.mistakes, *map(files.sentence, builder.faults)], key=_file_and_line)
    problems, hints = (map(files.sentence, each) for each in (specs.problems, specs.hints))
    return Loaded(None if mistakes else config, _shown(mistakes), _shown(problems), _shown(hints))


def _shown(sentences: Iterable[str]) -> tuple[str, ...]:
    return tuple(one_line(sentence, LONGEST_NOTE) for sentence in sentences)


def _config(files: Files, builder: Builder) -> tuple[Config, Specs]:
    table = files.table
    for key in table.keys() - set(SECTIONS):
        builder.fault((key,), unknown(key, SECTIONS))
    common, rest = builder.part(Common(), table.get("agent", {}), ("agent",))
    agent = builder.table(AgentSection, rest, ("agent",), beside=Common) or AgentSection()
    agent = replace(agent, host=agent.host or one_line(socket.gethostname()))
    web = builder.table(WebSection, table.get("web", {}), ("web",)) or WebSection()
    specs = Specs(builder, agent, common)
    for section in ("collector", "sink"):
        specs.add(section, table.get(section, {}))
    config = Config(
        host=agent.host,
        tags=agent.tags,
        max_series_total=agent.max_series_total,
        listen=tuple(str(each) for each in web.listen),
        specs=specs.build(files.places),
        files=_shown(files.names),
        settings=specs.settings,
        alerts=specs.alerts,
    )
    return config, specs


def _file_and_line(sentence: str) -> tuple[str, int, str]:
    file, line, *_ = (*sentence.split(":", 2), "")
    return file, int(line) if line.isdigit() else 0, sentence
