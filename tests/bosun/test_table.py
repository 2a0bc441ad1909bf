"""The page with what each of Bosun's alarms says in each state that was recorded or counted.

`python tests/bosun/test_table.py` writes it anew, from the states of which `test_alarms.py` shows that it is true.
"""

from sites import ROOT
from test_alarms import SCENES

PAGE = ROOT / "docs/bosun-alarms.md"
HEAD = """# What the alarms for Bosun say

In each of these states of what is watched each alarm of the [files for Bosun](../rscollector/sinks/bosun/README.md#alarms) was evaluated, by its
rules, over points that the sink makes of what the real collectors say: most of them over recordings of real servers
and kernels. Alarms that are not named in a row say that all is well. *Fresh* is a host, or a series, that has
just begun; in the row *health* nothing may be absent that an alarm needs.

<!-- written by tests/bosun/test_table.py -->
"""


def page():
    """Return the text of the page."""
    return HEAD + "".join(f"\n## {name}\n\n{table(name)}" for name in sorted(SCENES))


def table(name):
    """Return a row for each state: what the alarms of a file say in it."""
    rows = [f"| {scene} | {_said(expected) or 'none'} |\n" for scene, (_, expected) in SCENES[name].items()]
    return f"| State | Alarms |\n| --- | --- |\n{''.join(rows)}"


def _said(expected):
    return ", ".join(
        f"{alarm} ({status})" for alarm, groups in expected.items() for status in sorted(set(groups.values()))
    )


def test_the_page_is_that_of_the_states():
    """Whoever adds a state or an alarm writes the page anew."""
    assert PAGE.read_text() == page()


if __name__ == "__main__":
    PAGE.write_text(page())
