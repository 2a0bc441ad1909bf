"""Where a key stands."""

import textwrap
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rscollector.config.lines import lines_of


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a = 1\nb = 2\n", ("b",), 2),
        ("\n# comment\n[x.y]\n\nz = 1\n", ("x", "y"), 3),
        ("\n# comment\n[x.y]\n\nz = 1\n", ("x", "y", "z"), 5),
        ("[x]\nlist = [\n  1,\n  2,\n]\nafter = 1\n", ("x", "after"), 6),
        ("[x]\nlist = [\n  1,\n  2,\n]\n", ("x", "list", "1"), 2),
        ('text = """\n[no]\nheader = 1\n"""\nafter = 1\n', ("after",), 5),
        ("inline = { a = { b = 1 } }\n", ("inline", "a", "b"), 1),
        ("a.b.c = 1\n", ("a", "b", "c"), 1),
        ('["a.b".c]\n"d e" = 1\n', ("a.b", "c", "d e"), 2),
        ("[a]\n[b]\n[a.c]\n", ("a",), 1),
        ("x = 1 # ] [\ny = 2", ("y",), 2),
        ("text = '''\na = 1\n[b]\n'''\nafter = 1\n", ("after",), 5),
        ('x = [\n  "]", # ]\n\n  [1,\n  2],\n]\ny = 1\n', ("y",), 7),
        ('x = [\n  """\n]\n""",\n]\ny = 1\n', ("y",), 6),
        ("[a]\r\nx = [\r\n  1,\r\n]\r\ny = 1\r\n", ("a", "y"), 5),
        ("[a]\n'b.c'.\"d e\" . f = 1\n", ("a", "b.c", "d e", "f"), 2),
        ("[ a . 'b' ] # c\nx = 1\n", ("a", "b", "x"), 2),
        ("[a]\ny = 1\n\n[a.b]\nx = { p = [\n  1,\n] }\n", ("a", "b", "x", "p"), 5),
        ("a.b = 1\na.c = 2\n", ("a", "c"), 2),
        ("a.b = 1\na.c = 2\n", ("a",), 1),
        ('a = \'# no comment\'\nb = 1 # """\nc = 1\n', ("c",), 3),
        ("[[a]]\nx = 1\n", ("a", "0", "x"), 2),
        ("[[a]]\nx = 1\n[[a]]\nx = 1\n", ("a", "1", "x"), 4),
        ("[[a]]\n[[a]]\n", ("a", "1"), 2),
        ("[[w.a]]\n[w.a.t]\nx = 1\n[[w.a]]\n[w.a.t]\nx = 1\n", ("w", "a", "1", "t", "x"), 6),
        ("[[a]]\n[[a.b]]\n[[a]]\n[[a.b]]\n[[a.b]]\nx = 1\n", ("a", "1", "b", "1", "x"), 6),
    ],
)
def test_a_key_is_found_on_its_line(text, path, line):
    """Headers, dotted and quoted keys, inline tables and values over several lines."""
    assert lines_of(text)[path] == line


def test_an_empty_text_has_no_keys():
    """Comments and blank lines are no keys."""
    assert lines_of("\n# nothing\n\n") == {}


keys = st.text("ab", min_size=1, max_size=2)


@given(
    st.dictionaries(
        keys, st.dictionaries(keys, st.integers() | st.lists(st.integers(), max_size=3), max_size=3)
    )
)
def test_every_key_of_a_file_has_a_line(tables):
    """Whatever the file, each table and each key is found where it was written."""
    lines, expected = [], {}
    for name, values in tables.items():
        lines.append(f"[{name}]")
        expected[(name,)] = len(lines)
        for key, value in values.items():
            expected[(name, key)] = len(lines) + 1
            lines += textwrap.indent(f"{key} = {str(value).replace(', ', ',' + chr(10))}", "  ").splitlines()
    text = "\n".join(lines)
    assert tomllib.loads(text) == tables
    found = lines_of(text)
    assert {path: found[path] for path in expected} == expected


def test_windows_line_ends_are_line_ends():
    """A file from another system has the same lines."""
    assert lines_of("[a]\r\nx = [\r\n1]\r\ny = 1\r\n")[("a", "y")] == 4


@pytest.mark.parametrize(
    "text",
    [
        'a = """"""\nb = 1\n',
        'a = """x"""""\nb = 1\n',
        "a = ''''x'''''\nb = 1\n",
        'a = """\\"""\n[no]\n"""\nb = 1\n',
        'a = "\\\\"\nb = 1\n',
        'a = "\\"[{#"\nb = 1\n',
        "a = '[{\"#'\nb = 1\n",
        'a = [ "]", \'"\' ] # [\nb = 1\n',
        "'[' = { '#' = [ ] }\nb = 1\n",
        'a = """x"" y "\n"""\nb = 1\n',
        "a = '''\\'''\nb = 1\n",
    ],
)
def test_what_looks_like_an_end_is_none(text):
    """Quotes, brackets and signs of a comment within strings, and what an escape hides."""
    tomllib.loads(text)
    assert lines_of(text)["b",] == text.count("\n")


def test_a_long_list_is_read_once():
    """No part of it is read again with each line that follows: a piece for each key, the header and the last line."""
    reads = []

    def lines(count):
        items = "".join(f'  "192.0.2.{number}", # a comment\n' for number in range(count))
        return lines_of(f"[x]\nlist = [\n{items}]\nafter = 1\n")

    with pytest.MonkeyPatch.context() as patch:
        loads = tomllib.loads
        patch.setattr(tomllib, "loads", lambda text: reads.append(len(text)) or loads(text))
        found = lines(2000)
    assert found["x", "after"] == 2004
    assert len(reads) == 4
