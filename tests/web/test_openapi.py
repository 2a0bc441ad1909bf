"""The API and its description say the same: paths, answers, and what schemathesis makes of both."""

import json
import os
import subprocess
from importlib.resources import files

import pytest
import yaml
from faces import Face, serving
from harness import until
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from rscollector.web import events
from rscollector.web.app import application

DESCRIPTION = yaml.safe_load(files("rscollector.web").joinpath("openapi.yaml").read_text("utf-8"))
JSON = {
    path: found["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    for path, found in DESCRIPTION["paths"].items()
    if "application/json" in found["get"]["responses"]["200"]["content"]
}
PROBLEM = {"$ref": "#/components/schemas/Problem"}


def closed(schema, *, is_part=False):
    """Return a schema that knows all properties: readers pass over others, and this test does not."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: [closed(each, is_part=True) for each in value] if key == "allOf" else closed(value)
        for key, value in schema.items()
    }
    names_them = isinstance(made.get("properties"), dict) or "allOf" in made
    return made | {"unevaluatedProperties": False} if names_them and not is_part else made


def refer(schema):
    """Put in what a schema refers to: as a part of `allOf` it stays open, and elsewhere it is closed."""
    if isinstance(schema, list):
        return [refer(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return refer(DESCRIPTION["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return {key: refer(value) for key, value in schema.items()}


def wrong(schema, answer):
    """Return what is wrong with an answer, in a line each."""
    validator = Draft202012Validator(closed(refer(schema)))
    return [f"{each.json_path}: {each.message[:200]}" for each in validator.iter_errors(answer)]


def filled(path, key):
    """Return a path with the key of a collector in it."""
    return path.format(**dict(zip(("type", "name"), key.split("/"), strict=True)))


def test_the_description_is_right():
    """As OpenAPI 3.1 has it."""
    assert [each.message for each in OpenAPIV31SpecValidator(DESCRIPTION).iter_errors()] == []


def test_every_route_is_described_and_every_description_has_a_route():
    """By path and method; HEAD goes with GET."""
    routes = {route.path for route in application(Face()).routes if route.path.startswith("/api/")}
    assert routes == set(DESCRIPTION["paths"])
    methods = {method for found in DESCRIPTION["paths"].values() for method in found} - {"parameters"}
    assert methods == {"get"}
    named = [found["get"]["operationId"] for found in DESCRIPTION["paths"].values()]
    assert len(named) == len(set(named))


def test_the_description_is_served_as_it_is():
    """From the package, to whoever may read."""
    with serving(Face()) as served:
        status, headers, body = served.get("/api/v1/openapi.yaml")
    assert (status, headers["content-type"], yaml.safe_load(body)) == (200, "application/yaml", DESCRIPTION)


def test_every_answer_is_as_described():
    """Of each collector and sink, with all that there may be, and with nothing that is not described."""
    with serving(face := Face()) as served:
        keys = [f"{each['type']}/{each['name']}" for each in face.collectors]
        for path, schema in JSON.items():
            for key in keys if "{" in path else keys[:1]:
                for _ in range(2):
                    assert wrong(schema, served.json(filled(path, key))) == [], path
        face.collectors = []
        assert len(JSON) == 7
        for path in ("/api/v1/none", "/api/v1/collectors/a/b", "/api/v1/status?a=b"):
            assert wrong(PROBLEM, served.json(path)) == [], path


def test_an_event_is_as_described(monkeypatch):
    """The first, which has everything, and one of what has changed and what is gone."""
    monkeypatch.setattr(events, "_PACE", 0.01)
    with serving(face := Face()) as served:
        face.news += ["galera/main", "gone/main", ""]
        for since in ("", f"?since={face.epoch}-0"):
            body = served.get(f"/api/v1/events{since}")[2].decode()
            (data,) = (line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: "))
            assert wrong({"$ref": "#/components/schemas/Event"}, json.loads(data)) == []


def test_what_is_not_described_is_noticed():
    """The test above would see a property that is missing, of another kind, or not described."""
    good = Face().status()
    assert wrong(JSON["/api/v1/status"], good) == []
    for bad in (
        good | {"more": 1},
        good | {"pid": "1"},
        {name: value for name, value in good.items() if name != "host"},
        good | {"collectors": [{**good["collectors"][0], "more": 1}]},
        good | {"config": good["config"] | {"more": 1}},
    ):
        assert wrong(JSON["/api/v1/status"], bad)
    one = Face().collector("agent/main")
    assert wrong(JSON["/api/v1/collectors/{type}/{name}"], one | {"more": 1})


def test_a_real_agent_answers_as_described(agent):
    """With collectors that are well, down and hung, and sinks; one has been explained, for somebody has asked."""
    keys = ("agent/main", "rogue/bug", "rogue/hung", "bosun/main", "pushgateway/main")
    running = agent(
        '[agent]\ninterval = "1s"\n[web]\nlisten = []\n[collector.agent.main]\n'
        '[collector.rogue.bug]\ndo = "bug"\n[collector.rogue.hung]\ndo = "hang"\ntimeout = "3s"\n'
        '[sink.bosun.main]\nurl = "http://127.0.0.1:9"\n[sink.pushgateway.main]\nurl = "http://127.0.0.1:9"\n'
    )
    until(lambda: running.collector("rogue/hung")["last_stack"])
    until(lambda: json.loads(running.get("/api/v1/collectors/agent/main")[2])["explained"])
    for path, schema in JSON.items():
        for key in keys if "{" in path else keys[:1]:
            status, _, body = running.get(filled(path, key))
            assert (status, wrong(schema, json.loads(body))) == (200, []), path
    assert wrong(PROBLEM, json.loads(running.get("/api/v1/collectors/rogue/none")[2])) == []
    assert len(json.loads(running.get("/api/v1/sinks")[2])["sinks"]) == 2
    assert "a request failed" not in running.log


@pytest.mark.needs("schemathesis")
def test_schemathesis_finds_nothing(tmp_path):
    """Against a real server: examples, every edge of every parameter, other methods, and what chance finds."""
    with serving(Face()) as served:
        done = subprocess.run(
            [
                *("schemathesis", "run", f"http://{served.address}/api/v1/openapi.yaml"),
                *("--phases", "examples,coverage,fuzzing", "--max-examples", "50", "--checks", "all"),
                *("--seed", "1", "--exclude-path", "/api/v1/events"),  # it has no end
                "--no-color",
            ],
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout.lower(), done.stdout
