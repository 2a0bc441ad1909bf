"""`rscollector status`: what the running agent says, through its control socket, once or again and again."""

import argparse
import json
import math
import sys
import time
from typing import Any

from rscollector.cli.asking import add_socket, first_answer
from rscollector.cli.common import Commands, add_command, complain, paint, table
from rscollector.model.settings import humanized
from rscollector.web.rows import calm, is_configured, rows

_CLEAR = "\033[H\033[J"
_MORE = """\
Exit status 0: every collector is up, and the last reload went well; 1: something is wrong, or no agent
answers.
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "status", status, "ask the running agent how it is", _MORE)
    parser.add_argument("--json", action="store_true", help="print all it says, as JSON")
    parser.add_argument(
        "--wrong", action="store_true", help="show only what is in trouble, or tells less than it could"
    )
    parser.add_argument(
        "--watch",
        nargs="?",
        type=_seconds,
        const=2.0,
        metavar="SECONDS",
        help="show it again and again, every 2 seconds or as often as said",
    )
    add_socket(parser)


def status(given: argparse.Namespace) -> int:
    """Ask and print."""
    if given.watch is None:
        return _once(given)
    try:
        while True:
            _once(given, _CLEAR if sys.stdout.isatty() else "")
            sys.stdout.flush()
            time.sleep(given.watch)
    except KeyboardInterrupt:
        return 0


def _once(given: argparse.Namespace, before: str = "") -> int:
    found = first_answer(given.socket)
    if before:
        print(before, end="")  # what was said before stays until there is something to say
    if found is None:
        return 1
    answer = found.status
    try:
        shown = json.dumps(answer, indent=2) if given.json else _shown(answer, wrong=given.wrong)
        is_well = all(each["up"] for each in answer["collectors"]) and is_configured(answer)
        is_well = is_well and not any(row.is_wrong for row in rows(answer))
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        complain(f"what answers is no agent that this version understands ({type(error).__name__}: {error})")
        return 1
    print(shown)
    return 0 if is_well else 1


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0.2 <= number <= 3600:
        raise argparse.ArgumentTypeError(f"expected seconds from 0.2 to 3600, not {text}")
    return number


def _shown(answer: dict[str, Any], *, wrong: bool) -> str:
    everything = rows(answer)
    found = [row for row in everything if row.is_wrong or not wrong]
    heads = ("STATE", "FOR", "COLLECTOR", "SERIES", "LAST SUCCESS", "TOOK", "NEXT RUN", "REASON")
    cells = [
        (row.condition, row.since, row.key, str(row.series), row.last, row.took, row.next, row.reason or "-")
        for row in found
    ]
    nothing = calm(everything, agent_is_well=is_configured(answer)) or "No collector is configured."
    parts = [_head(answer), table(heads, cells, [row.style for row in found]) if found else nothing]
    notes = [f"{row.key}: {note}" for row in found for note in row.notes]
    stacks = [f"{row.key} {row.ended} here:\n{row.stack}" for row in found if row.stack]
    return "\n\n".join([*parts, *(["\n".join(notes)] if notes else []), *stacks])


def _head(answer: dict[str, Any]) -> str:
    config = answer["config"]
    who, up = paint(f"rscollector {answer['version']}", "bold"), humanized(answer["uptime_seconds"])
    web = answer.get("web", {})  # an agent before 1.0 has none
    urls = [each["url"] for each in web.get("listeners", ())]
    where = ", ".join(urls or (f"http://{each}/metrics" for each in answer["listen"])) or "no port"
    lines = [
        f"{who} on {answer['host']}, process {answer['pid']}, up for {up}, {answer['series']} series",
        f"configuration: {', '.join(config['files']) or 'built-in'}; metrics on {where}",
    ]
    if not config["last_reload_successful"]:
        lines += [paint("the last reload failed; the configuration before it is in use:", "bad")]
    elif config["last_reload_error"]:
        lines += [paint("of the last reload not all was taken; what was before is in its place:", "bad")]
    if config["last_reload_error"]:
        lines += [config["last_reload_error"]]
    if web.get("last_reload_error"):
        why = "certificates or web configuration in the files are wrong; those before are in their place:"
        lines += [paint(why, "bad")]
        lines += [web["last_reload_error"]]
    return "\n".join(lines)
