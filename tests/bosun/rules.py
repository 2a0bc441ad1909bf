"""A file of Bosun's rules, as far as ours go: sections with pairs; variables and macros are text that is put in place.

The facts are from Bosun's source (cmd/bosun/conf/rule). What it would not load raises Wrong here, too.
"""

import math
import re
from dataclasses import dataclass

from expressions import NUMBER, SCALAR, Moment, Node, Wrong, evaluate, read

_SECTION = re.compile(r"(\w+)\s+([\w.,=*|$/-]+)\s*\{")
_PAIR = re.compile(r"([\w$./-]+)[ \t]*=[ \t]*(?:`([^`]*)`|([^\n]*))")
_BLANK = re.compile(r"(?:\s|#[^\n]*(?:\n|$))+")
_VARIABLE = re.compile(r"\$(?:([\w.]+)|\{([\w.]+)\})")
_FLAGS = ("ignoreUnknown", "unjoinedOk", "unknownIsNormal")


@dataclass(frozen=True)
class Alarm:
    """An alarm: its expressions, None where there is none, and what becomes of groups that are not there any more."""

    name: str
    notes: str
    warn: Node | None
    crit: Node | None
    unjoined_ok: bool = False
    ignores_unknown: bool = False

    def check(self, tsdb, before=()):
        """Return the status of each group; `before` are those that were there when it was last checked.

        NaN is as bad as any number but 0. A group that is not there any more is unknown, or ignored.
        """
        moment = Moment(tsdb, self.unjoined_ok)
        told = dict.fromkeys(before, "ignored" if self.ignores_unknown else "unknown")
        worse: dict = {}
        for status, expression in (("critical", self.crit), ("warning", self.warn)):
            for group, value in evaluate(expression, moment).each if expression else ():
                if worse.get(group) != "critical":
                    worse[group] = status if value != 0 or math.isnan(value) else worse.get(group, "ok")
        return told | worse


@dataclass(frozen=True)
class Rules:
    """What a file has: its alarms, and the templates that they use."""

    alarms: dict[str, Alarm]
    templates: dict[str, dict[str, str]]


def load(text):
    """Return the rules of a file."""
    sections: dict[str, dict[str, list]] = {"template": {}, "macro": {}, "alert": {}}
    at = _after_blank(text, 0)
    while at < len(text):
        if not (found := _SECTION.match(text, at)) or found[1] not in sections:
            raise Wrong(f"expected a section at {text[at : at + 40]!r}")
        pairs, at = _pairs(text, found.end())
        if found[2] in sections[found[1]]:
            raise Wrong(f"duplicate {found[1]} name: {found[2]}")
        sections[found[1]][found[2]] = pairs
        at = _after_blank(text, at)
    templates = {name: _once(pairs) for name, pairs in sections["template"].items()}
    alarms = {
        name: _alarm(name, pairs, sections["macro"], templates) for name, pairs in sections["alert"].items()
    }
    return Rules(alarms, templates)


def _after_blank(text, at):
    return found.end() if (found := _BLANK.match(text, at)) else at


def _pairs(text, at):
    pairs = []
    while True:
        at = _after_blank(text, at)
        if text[at : at + 1] == "}":
            return pairs, at + 1
        if not (found := _PAIR.match(text, at)):
            raise Wrong(f"expected a pair at {text[at : at + 40]!r}")
        pairs.append((found[1], found[3] if found[2] is None else found[2]))
        at = found.end()


def _once(pairs):
    found: dict[str, str] = {}
    for key, value in pairs:
        if key in found:
            raise Wrong(f"duplicate key: {key}")
        found[key] = value
    return found


def _alarm(name, pairs, macros, templates):
    variables: dict[str, str] = {}
    keys: list[tuple[str, str]] = []
    for key, value in pairs:
        if key == "macro":
            if value not in macros:
                raise Wrong(f"macro not found: {value}")
            keys += macros[value]
        else:
            keys.append((key, value))
    known = _once(keys)
    for key in list(known):
        value = _expanded(known[key], variables)
        if key.startswith("$"):
            del known[key]
            variables[key[1:]] = value
        else:
            known[key] = value
    if unknown := known.keys() - {"template", "warn", "crit", *_FLAGS}:
        raise Wrong(f"unknown key {min(unknown)}")
    if not {"subject", "body"} <= templates.get(known.get("template", ""), {}).keys():
        raise Wrong(f"{name}: template not found, or without subject or body")
    warn, crit = (read(known[each]) if each in known else None for each in ("warn", "crit"))
    _must_agree(name, [each for each in (crit, warn) if each])
    return Alarm(
        name, variables.get("notes", ""), warn, crit, "unjoinedOk" in known, "ignoreUnknown" in known
    )


def _expanded(text, variables):
    def put(found):
        name = found[1] or found[2]
        if name not in variables:
            raise Wrong(f"unknown variable ${name}")
        return variables[name]

    return _VARIABLE.sub(put, text)


def _must_agree(name, expressions):
    if not expressions:
        raise Wrong(f"{name}: neither crit or warn specified")
    if any(each.gives not in (NUMBER, SCALAR) for each in expressions):
        raise Wrong(f"{name}: expression must return a number")
    if len({each.tags for each in expressions}) > 1:
        raise Wrong(f"{name}: crit tags and warn tags must be equal")
