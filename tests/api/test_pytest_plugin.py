"""What pytest has where rscollector is installed, in runs of its own."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent

import pytest

from rscollector.testing import Root

NAME = "rscollector.pytest_plugin"
PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


@pytest.fixture
def run(tmp_path):
    """Run pytest in a directory that has these files: `run({"test_x.py": "…"}, "-v")`; warnings are errors."""

    def run(files, *arguments, status=0):
        for name, text in files.items():
            Root(tmp_path).write(name, text)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_"))}
        environment = {**kept, "PYTHONPATH": f"{tmp_path}:{kept.get('PYTHONPATH', '')}", "COLUMNS": "300"}
        options = ["-p", "no:cacheprovider", "-p", "no:randomly", "-W", "error", "--strict-markers"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *arguments], cwd=tmp_path, env=environment, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (status, ""), done.stdout
        return done.stdout

    return run


RECORDINGS = {
    "recordings/10.11/a.n1.json": "[1]",
    "recordings/10.11/b.n1.json": "[2]",
    "recordings/c.json": "[3]",
}


def test_a_marked_test_runs_with_each_recording(run):
    """Its ids are the short names, and the recording is its argument, or that of a fixture it asks for."""
    test = """
        import pytest

        pytestmark = pytest.mark.recorded("recordings/**/*.json", without="*/b.*")

        @pytest.fixture
        def number(recording):
            return recording.json()[0]

        def test_first(recording): assert recording.raw() == b"[1]" or recording.name == "c"
        def test_second(number): assert number in (1, 3)
        def test_third(): pass
    """
    told = run({**RECORDINGS, "test_x.py": dedent(test)}, "-p", NAME, "-v")
    passed = [line.split()[0].partition("::")[2] for line in told.splitlines() if "PASSED" in line]
    assert passed == [
        "test_first[10.11/a.n1]", "test_first[c]", "test_second[10.11/a.n1]", "test_second[c]", "test_third",
    ]  # fmt: skip


def test_a_mark_that_matches_nothing_fails_the_run(run, tmp_path):
    """It is a sentence about what there is, and not a test that is never run."""
    test = """
        import pytest

        @pytest.mark.recorded("recordings/10.11/*.tsv")
        def test_one(recording): pass
        def test_other(): pass
    """
    told = run({**RECORDINGS, "test_x.py": dedent(test)}, "-p", NAME, status=2)
    expected = (
        "recorded: recordings/10.11/*.tsv matches nothing in {}: recordings/10.11 has a.n1.json, b.n1.json"
    )
    assert expected.format(tmp_path) in told
    assert "Traceback" not in told


def test_a_recording_that_nobody_names_is_asked_for(run):
    """The argument without the mark says how to write it."""
    told = run({"test_x.py": "def test_x(recording): pass\n"}, "-p", NAME, status=1)
    assert 'which recordings? Mark the test: @pytest.mark.recorded("recordings/*.json")' in told


def test_the_fixtures_are_a_host_and_a_context_that_shows_it(run):
    """A collector finds on the fake host what the test has written there."""
    test = """
        def test_x(root, fake_context):
            root.write("proc/loadavg", "0.25")
            assert (fake_context.root / "proc/loadavg").read_text() == "0.25"
            assert fake_context.run.__qualname__ == "FakeContext.run"
    """
    assert "1 passed" in run({"test_x.py": dedent(test)}, "-p", NAME)


def test_a_failed_assertion_points_at_the_test(run):
    """The helpers' own lines are not shown."""
    test = """
        from rscollector.testing import assert_values

        def test_x(): assert_values({"a": 1.0}, {"a": 2})
    """
    told = run({"test_x.py": dedent(test)}, "-p", NAME, status=1)
    assert "E   AssertionError: a is 1.0, expected 2" in told
    assert "expected.py" not in told


INSTALLED = {
    "mine-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: mine\nVersion: 1\n",
    "mine-1.dist-info/entry_points.txt": f"[pytest11]\n{NAME} = {NAME}\n",
}


@pytest.mark.parametrize("more", [{}, {"conftest.py": f"pytest_plugins = ['{NAME}']\n"}])
@pytest.mark.parametrize("options", [(), ("-p", NAME)])
def test_where_it_is_installed_it_is_loaded_once(run, more, options):
    """Also for those who name it once more; and what strangers call `root` and `recorded` is theirs."""
    test = f"""
        import pytest, sys

        @pytest.fixture
        def root(): return "mine"

        @pytest.mark.recorded
        def test_x(root, pytestconfig):
            assert root == "mine"
            assert pytestconfig.pluginmanager.hasplugin("{NAME}")
            ours = {{name for name in sys.modules if name.partition(".")[0] == "rscollector"}}
            assert ours == {{"rscollector", "{NAME}"}}
    """
    assert "1 passed" in run({**INSTALLED, **more, "test_x.py": dedent(test)}, *options)


def test_the_entry_point_has_the_modules_name():
    """Else pytest refuses what is installed and named as well."""
    assert tomllib.loads(PROJECT.read_text())["project"]["entry-points"]["pytest11"] == {NAME: NAME}


def test_the_plugin_imports_nothing_of_ours():
    """Coverage of the model begins after plugins are loaded, and strangers' runs do not pay for us."""
    code = (
        f"import sys, {NAME}; print(*sorted(name for name in sys.modules if name.startswith('rscollector')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["rscollector", NAME]
