"""One chromium for all tests here, and an application that it looks at; see driver.js."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from faces import Served
from suite import IN_CI

HERE = Path(__file__).parent
BUILD = HERE.parents[2] / "build"
SHARED = {"RSCOLLECTOR_TEST_SERVER": "1"}  # it outlives a test, and is ended after the last one


class Browser:
    """A chromium: `browser.run(code, **given)` runs JavaScript that has `page`, see driver.js, and returns its value."""

    def __init__(self, modules):
        command = ["node", str(HERE / "driver.js"), shutil.which("chromium")]
        env = {**os.environ, **SHARED, "NODE_PATH": str(modules)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )

    def run(self, code, /, **given):
        """Return what the code returns; fails with its error."""
        self.process.stdin.write(json.dumps([code, given]) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "the driver is gone"}')
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def open(self, url, *, clock=False, **options):
        """Show a page in a fresh context, with playwright's options; with `clock` its time passes when we say so."""
        self.run("await open(url, options, clock)", url=url, options=options, clock=clock)

    def stop(self):
        """End the browser and then its driver."""
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def _modules():
    """Return the folder of the packages that are named in package-lock.json, installed once for each state of it."""
    place = BUILD / "browser"
    lock = HERE / "package-lock.json"
    done = place / "installed.lock"
    if not done.exists() or done.read_bytes() != lock.read_bytes():
        place.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", lock.name):
            shutil.copy(HERE / name, place)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        got = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=240, check=False)
        if got.returncode and not IN_CI:
            pytest.skip("needs npm's registry")
        assert not got.returncode, got.stderr
        shutil.copy(lock, done)
    return place / "node_modules"


@pytest.fixture(scope="session")
def browser():
    """A chromium for all tests."""
    started = Browser(_modules())
    yield started
    started.stop()


@pytest.fixture
def shown(browser, request):
    """Keep a picture of the page as it is: `shown("name")`, in build/screenshots."""

    def keep(name, full=True):
        (BUILD / "screenshots").mkdir(parents=True, exist_ok=True)
        path = BUILD / "screenshots" / f"{name}.png"
        browser.run("await page.screenshot({ path, fullPage })", path=str(path), fullPage=full)
        return path

    return keep


@pytest.fixture
def serve():
    """Serve a face: `serve(face)`; it is stopped at the end."""
    started = []

    def start(face):
        started.append(Served(face))
        return started[-1]

    yield start
    for each in started:
        each.stop()
