"""How the tests and the code are written, as far as a machine can see it."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = {*ROOT.glob("rscollector/**/*.py"), *ROOT.glob("collectors/**/*.py")}
SOURCES = sorted(path for path in PYTHON if "tests" not in path.parts)
TESTS = sorted(
    path for place in ("tests", "collectors", "rscollector") for path in ROOT.glob(f"{place}/**/test_*.py")
)


def functions(path):
    """Yield the functions of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_every_test_states_a_property_in_one_sentence():
    """A test without a docstring leaves the reader to guess what it is for."""
    missing = [
        f"{path.name}:{each.name}"
        for path in TESTS
        for each in functions(path)
        if each.name.startswith("test_") and not (ast.get_docstring(each) or "").endswith(".")
    ]
    assert missing == []


def test_all_is_caught_in_one_place_only():
    """`except Exception` stands in the fence around plugins and nowhere else."""
    broad = [
        path.name
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or "Exception" in ast.unparse(node.type).split("."))
    ]
    assert broad == ["errors.py"]


def test_no_function_is_longer_than_forty_lines():
    """A function that does not fit on a screen is looked at again."""
    long = [
        f"{path.name}:{each.name}"
        for path in SOURCES
        for each in functions(path)
        if each.end_lineno - each.lineno - (ast.get_docstring(each) or "").count("\n") > 40
    ]
    assert long == []


def test_nothing_is_left_for_later():
    """No note to oneself stays in the code."""
    pattern = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    assert [path.name for path in SOURCES if pattern.search(path.read_text())] == []


def test_what_is_a_number_is_one_for_int_too():
    """`isdigit` takes "²" for a digit, and int() raises; `isdecimal` does not."""
    assert [path.name for path in SOURCES if ".isdigit(" in path.read_text()] == []


def test_the_agent_imports_no_driver():
    """What the agent's process imports has no driver and no plugin in it."""
    import subprocess
    import sys

    code = (
        "import sys, rscollector.runtime.agent; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    imported = set(done.stdout.split())
    assert imported & {"pymysql", "pymongo", "requests", "psutil", "netifaces", "dns", "collectors"} == set()
