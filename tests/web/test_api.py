"""What the API answers, to honest clients and to odd ones, on a real server; and what its page shows."""

import asyncio
import json
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest
from faces import DOWN, KEYS, SINKS, Face, serving, told
from harness import until

from rscollector.config.types import Right
from rscollector.web import events
from rscollector.web.app import application
from rscollector.web.problems import MOST_NAMED

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
ROUTES = {route.path for route in application(Face()).routes if route.path.startswith("/api/")}
PATHS = sorted(path.format(type="agent", name="main") for path in ROUTES)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Have a stream of events end at once: what it tells is tested elsewhere."""
    monkeypatch.setattr(events, "_PACE", 0.001)


@pytest.fixture
def served():
    """A face behind a real server."""
    with serving(Face()) as made:
        yield made


def names(found):
    """Return the keys of what was listed."""
    return [f"{each['type']}/{each['name']}" for each in found]


def problem(served, path, method="GET"):
    """Return a problem, which says the same of itself in its head and in its body."""
    status, headers, body = served.get(path, method)
    said = json.loads(body)
    assert (headers["content-type"], said["status"]) == ("application/problem+json", status)
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert (said["type"], set(said) - {"there_is"}) == ("about:blank", {"type", "title", "status", "detail"})
    return said


# --- what it tells ---


def test_the_status_is_what_the_agent_says(served):
    """Byte for byte: `rscollector status --json` has printed the same ever since."""
    wanted = json.dumps(served.face.status(), ensure_ascii=False, separators=(",", ":")).encode()
    status, headers, body = served.get("/api/v1/status")
    assert (status, headers["content-type"], body) == (200, "application/json", wanted)
    assert headers["cache-control"] == "no-store"


def test_lists_are_sorted(served):
    """By type and name, metrics by name, whatever order the agent has them in."""
    assert names(served.json("/api/v1/collectors")["collectors"]) == sorted(KEYS)
    assert names(served.json("/api/v1/sinks")["sinks"]) == sorted(SINKS)
    assert [each["name"] for each in served.json("/api/v1/metrics")["metrics"]] == [
        "a_size_bytes",
        "x_size_bytes",
    ]
    configuration = served.json("/api/v1/config")
    assert names(configuration["collectors"]) == sorted(set(KEYS) - set(SINKS))
    assert names(configuration["sinks"]) == sorted(SINKS)
    found = [each["name"] for each in served.json("/api/v1/collectors/agent/main")["metrics"]]
    assert found == sorted(found)


def test_what_is_wrong_can_be_asked_for(served):
    """`?show=wrong` leaves out what is well, as on the page; when nothing is wrong nothing is left."""
    assert names(served.json("/api/v1/collectors?show=wrong")["collectors"]) == ["galera/main"]
    served.face.collectors = [told("a/a"), told("a/b", notes=["missing: half of it"])]
    until(lambda: names(served.json("/api/v1/collectors?show=wrong")["collectors"]) == ["a/b"])
    served.face.collectors = []
    until(lambda: served.json("/api/v1/collectors?show=wrong") == {"collectors": []})


def test_one_collector_says_all_and_explains_itself_when_it_was_asked(served):
    """What the list has of it and more; a sink as well; what it says in plain language comes later."""
    found = served.json("/api/v1/collectors/galera/main")
    assert found.items() >= told("galera/main", **DOWN).items()
    assert found["explained"] is None
    until(lambda: served.json("/api/v1/collectors/galera/main")["explained"])
    assert served.json("/api/v1/collectors/bosun/main")["is_sink"]
    history = served.json("/api/v1/collectors/galera/main/history")
    assert [each["condition"] for each in history["history"]] == ["up", "down"]


def test_numbers_that_json_does_not_have_are_texts(served):
    """As in Prometheus' API; a browser and jq would refuse the whole answer else."""
    found = served.json("/api/v1/collectors/agent/main")["metrics"]
    values = {each["type"]: each["samples"][0]["value"] for each in found}
    assert values["counter"] == "+Inf"
    assert values["histogram"] == {"buckets": {"0.1": 3, "+Inf": 4}, "sum": "NaN"}
    assert (values["gauge"], values["stateset"]) == (1.5, "primary")
    served.face.collectors[0]["duration_seconds"] = -float("inf")
    until(lambda: served.json("/api/v1/collectors")["collectors"][-1]["duration_seconds"] == "-Inf")


def test_an_answer_is_made_once_for_all_who_ask_in_the_same_moment():
    """A hundred who ask at once cost the agent as much as one."""
    face = Face()
    app = application(face)
    found = []

    async def ask(path):
        async def send(message):
            if message["type"] == "http.response.start":
                found.append(message["status"])

        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
        await app(scope, None, send)

    async def main(path):
        await asyncio.gather(*(ask(path) for _ in range(100)))

    for path, asked in (
        ("/api/v1/status", ["status"]),
        ("/api/v1/collectors/agent/main", ["agent/main"]),
        ("/api/v1/metrics", ["metadata"]),
        ("/api/v1/config", ["configuration"]),
        ("/api/v1/sinks", ["status", "configuration"]),
        ("/api/v1/collectors/no/one", ["status"]),
    ):
        face.asked.clear()
        asyncio.run(main(path))
        assert face.asked == asked, path
    assert found == [200] * 500 + [404] * 100


def test_what_strangers_ask_for_is_not_kept():
    """A thousand names that are none leave as little behind as one, and push nobody's page out."""
    face = Face()
    app = application(face)
    api = next(route for route in app.routes if route.path == "/api/v1/status")._asked.__self__

    async def ask(path):
        async def send(message):
            pass

        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
        await app(scope, None, send)

    async def main():
        for key in KEYS[:2]:
            await ask(f"/api/v1/collectors/{key}")
        before = dict(api._instances._newest)
        for number in range(1000):
            await ask(f"/api/v1/collectors/no/{number}")
            await ask(f"/api/v1/collectors/no/{number}/history")
        assert api._instances._newest == before
        assert len(api._names._newest) == 1
        for _ in range(3):
            for key in KEYS:
                await ask(f"/api/v1/collectors/{key}")
        return len(api._instances._newest), len(api._instances._held)

    assert asyncio.run(main()) == (4, 4)


def test_a_collector_that_goes_while_it_is_asked_for_is_not_there(served, monkeypatch):
    """A reload may come between two looks."""
    monkeypatch.setattr(served.face, "collector", lambda key: None)
    assert problem(served, "/api/v1/collectors/agent/main")["status"] == 404
    assert served.get("/collectors/agent/main")[0] == 404


def test_answers_of_one_moment_are_not_taken_for_each_other(served):
    """One after the other, faster than the one before grows old."""
    one = "collectors/galera/main"
    asked = ("collectors", "collectors?show=wrong", "sinks", one, f"{one}/history", "collectors/agent/main")
    assert len({served.get(f"/api/v1/{path}")[2] for path in asked}) == len(asked)


def test_a_text_that_is_none_costs_its_own_character(served):
    """Half of a character, out of a file's name that is no UTF-8, and not the whole answer."""
    served.face.collectors[0]["reason"] = "bad \udcff name"
    assert served.json("/api/v1/collectors")["collectors"][-1]["reason"] == "bad ? name"


# --- what it refuses ---


def test_what_is_not_there_says_what_there_is(served):
    """Of the API its paths; of a type its collectors; of no type all of them, twenty at most."""
    for path in (
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v1/status/",
        "/api//v1/status",
        "/api/v2/status",
    ):
        assert set(problem(served, path)["there_is"]) == ROUTES, path
    said = problem(served, "/api/v1/collectors/galera/mian")
    assert said["detail"] == "there is no collector or sink galera/mian"
    assert said["there_is"] == ["/api/v1/collectors", "/api/v1/collectors/galera/main"]
    assert said == problem(served, "/api/v1/collectors/galera/mian/history")
    for path in ("gallera/main", "gal/main"):
        said = problem(served, f"/api/v1/collectors/{path}")
        assert said["there_is"] == [
            "/api/v1/collectors",
            *(f"/api/v1/collectors/{key}" for key in sorted(KEYS)),
        ]
    for path in said["there_is"]:
        assert served.get(path)[0] == 200
    served.face.collectors = [told(f"many/{number}") for number in range(300)]
    until(lambda: len(problem(served, "/api/v1/collectors/a/b")["there_is"]) == MOST_NAMED)


def test_what_is_not_of_the_api_is_refused_as_ever(served):
    """Only its own paths are its own."""
    assert served.get("/apiary")[::2] == (404, b"Not Found")
    assert served.get("/none")[::2] == (404, b"Not Found")


@pytest.mark.parametrize("path", PATHS)
def test_parameters_that_are_not_known_are_refused(served, path):
    """Who has misspelt one is told, and does not take all for what is wrong."""
    there_is = "show=wrong" if path == "/api/v1/collectors" else "no parameter"
    for query in (
        "shwo=wrong",
        "show=",
        "show",
        "show=Wrong",
        "show=wrong&x=1",
        "%00=%ff",
        "=",
        "a=b&" * 3000,
    ):
        said = problem(served, f"{path}?{query}")
        assert said["status"] == 400
        assert said["detail"].endswith(f" is not known here: this takes {there_is}")
        assert len(said["detail"]) < 200
        assert said["detail"].isprintable()
    for query in ("", "&", "&&"):
        assert served.get(f"{path}?{query}")[0] == 200
    if path == "/api/v1/collectors":
        assert "twice" in problem(served, f"{path}?show=wrong&show=wrong")["detail"]


@pytest.mark.parametrize("path", PATHS)
def test_other_methods_are_refused_and_head_has_no_body(served, path):
    """All of this is reading."""
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "SCRAPE"):
        said = problem(served, path, method)
        assert (said["status"], served.get(path, method)[1]["allow"]) == (405, "GET, HEAD")
    for asked in (path, path + "x/", path + "?x"):
        got, head = served.get(asked), served.get(asked, "HEAD")
        assert (head[0], head[2]) == (got[0], b"")
        assert head[1]["content-type"] == got[1]["content-type"]


ODD = {
    "/api/v1/collectors/agent%2Fmain": 200,  # it is the path that it stands for, as everywhere here
    "/api/v1/collectors/agent/main%2Fhistory": 200,
    "/api/v1/collectors/agent/m%61in": 200,
    "/api/v1/collectors/zone/v1.2..x": 200,
    "/api/v1/collectors/zone/v1.2..x/history": 200,
    "/api/v1/collectors/../config": 404,
    "/api/v1/collectors/agent/..": 404,
    "/api/v1/../v1/status": 404,
    "/api/v1/collectors/%2e%2e/config": 404,
    "/api/v1/collectors/agent/": 404,
    "/api/v1/collectors//main": 404,
    "/api/v1/collectors/agent": 404,
    "/api/v1/collectors/agent/main%00": 404,
    "/api/v1/collectors/agent/main%0a": 404,
    "/api/v1/collectors/agent/%1b[2J%e2%80%ae": 404,
    "/api/v1/collectors/agent/%ff%fe": 404,
    "/api/v1/collectors/agent/%zz%": 404,
    f"/api/v1/collectors/agent/{quote('größe')}": 404,  # names have letters, digits and _ . - only
    f"/api/v1/collectors/agent/{quote('日本語')}/history": 404,
    "/api/v1/collectors/" + "a" * 15_000 + "/b": 404,
    "/api/v1/" + "a/" * 7_500: 404,
    "/api/v1/collectors/agent/main/history/": 404,
    "/api/v1/status%00": 404,
    "/api/v1/status;a=b": 404,
}


@pytest.mark.parametrize("path", ODD, ids=lambda path: path[:60])
def test_odd_paths_have_an_answer_that_is_clear(served, path, logged):
    """And that a terminal can show; nothing is written into the log."""
    if ODD[path] == 200:
        assert served.get(path)[0] == 200
    else:
        said = problem(served, path)
        assert said["status"] == ODD[path]
        assert said["detail"].isprintable()
        assert len(said["detail"]) < 200
        assert said["there_is"]
    assert logged == []


def test_a_fault_of_ours_is_a_problem_too(served, logged):
    """It is logged, and the next one who asks may have more luck."""
    served.face.is_broken = True
    said = problem(served, "/api/v1/status")
    assert (said["status"], said["detail"]) == (500, "this is a fault of rscollector: its log says more")
    assert [record.getMessage() for record in logged] == ["a request failed by a fault of ours"]
    served.face.is_broken = False
    until(lambda: served.get("/api/v1/status")[0] == 200)


# --- rights ---


def test_a_listener_has_what_it_has_a_right_to():
    """With metrics alone there is no page and no API; to read is not to scrape; health is there for all."""
    ours = ["/", "/page.css", *PATHS]
    with serving(Face(), rights=frozenset({Right.METRICS})) as served:
        assert {served.get(path)[::2] for path in (*ours, "/api", "/none")} == {(404, b"Not Found")}
        assert [served.get(path)[0] for path in ("/metrics", "/-/healthy", "/-/ready")] == [200] * 3
    with serving(Face(), rights=frozenset({Right.READ})) as served:
        assert {served.get(path)[0] for path in (*ours[1:], "/-/healthy", "/-/ready")} == {200}
        assert served.get("/metrics")[::2] == (404, b"Not Found")
    with serving(Face()) as served:
        assert {served.get(path)[0] for path in (*ours, "/metrics", "/-/healthy", "/-/ready")} == {200}


# --- its page ---


@pytest.mark.needs("curl", "jq")
def test_the_commands_on_its_page_print_what_they_say():
    """Each is run as it stands, against an agent as it might be."""
    consoles = re.findall(r"^```console\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(consoles) >= 5
    with serving(Face()) as served:
        for text in consoles:
            for command, printed in re.findall(
                r"^\$ (.*(?:\\\n.*)*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE
            ):
                done = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", command.replace("localhost:10070", served.address)],
                    capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "no_proxy": "*"},
                )  # fmt: skip
                assert (done.stdout, done.returncode) == (printed, 0), f"{command}\n{done.stderr}"
