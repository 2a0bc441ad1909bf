"""What the web application is told by a supervisor: what has changed, and what there is."""

import asyncio

import accelerated
import pytest

from rscollector.model.lifecycle import State
from rscollector.model.namespace import Namespace
from rscollector.runtime.changes import Changes
from rscollector.runtime.face import AgentFace
from rscollector.runtime.telemetry import METRICS
from rscollector.runtime.vitals import Vitals

METRIC = Namespace("it").gauge("level", "A level.", "of")


@pytest.fixture
def faced():
    """Run a function with a face and its supervisor, whose only collector is it/main."""

    def run(act):
        async def main():
            supervisor, _, instance = accelerated.watched()
            while instance.machine.state is not State.IDLE:
                await asyncio.sleep(0.001)
            act(AgentFace(supervisor, None, Vitals(0.0), None), supervisor, instance)

        accelerated.accelerated(main)

    return run


def test_news_are_told_once_of_each_and_of_what_is_gone(faced):
    """A run that changes nothing is no news; a reload is, and is told with the configuration."""

    def act(face, supervisor, _):
        begin = face.changed(None)
        assert (begin.everything, begin.keys, begin.gone) == (True, ["it/main"], [])
        assert begin.configuration["read_at"] == 0
        assert face.event_id().endswith(f"-{begin.number}")
        for key, news in (("it/main", True), ("gone/main", True), ("it/main", True), ("it/main", False)):
            supervisor.changes.note(key, news=news)
        number = begin.number + 4
        assert face.changed(begin.number) == (number, False, ["it/main"], ["gone/main"], None)
        supervisor.changes.note("", news=True)
        assert face.changed(number) == (number + 1, False, [], [], begin.configuration)

    faced(act)


def test_other_notes_are_news_and_the_same_are_none():
    """And so is an end; what is told then is what there is no more."""

    async def main():
        supervisor, _, instance = accelerated.watched()
        face = AgentFace(supervisor, None, Vitals(0.0), None)
        await asyncio.sleep(60)
        number = face.changed(None).number
        assert face.changed(number - 3).keys == [], "runs that change nothing"
        for attribute, value in (("notes", ("missing: half",)), ("withheld", ["more"])):
            setattr(instance, attribute, value)
            supervisor._note(instance)
            supervisor._note(instance)
            told = face.changed(number)
            assert (told.keys, told.number) == (["it/main"], number + 2)
            number = told.number
            assert face.changed(number - 1).keys == []
        supervisor.end("it/main")
        while supervisor.instances:
            await asyncio.sleep(0.1)
        assert (face.changed(number).keys, face.changed(number).gone) == ([], ["it/main"])
        assert face.changed(face.changed(number).number - 1).gone == ["it/main"], "the end is told last"

    accelerated.accelerated(main)


@pytest.mark.parametrize("since", [0, 99])
def test_who_has_missed_something_is_told_everything(faced, since):
    """Also who comes with a number that there was not yet."""

    def act(face, supervisor, _):
        supervisor.changes = Changes(kept=2)
        for _ in range(3):
            supervisor.changes.note("it/main")
        told = face.changed(since)
        assert (told.number, told.everything, told.keys) == (3, True, ["it/main"])
        assert told.configuration
        assert face.changed(1) == (3, False, [], [], None)

    faced(act)


def test_of_those_that_are_gone_there_is_no_object(faced):
    """Between two steps of an event one may end."""

    def act(face, *_):
        assert [each["name"] for each in face.objects(["gone/main", "it/main"])] == ["main"]

    faced(act)


def test_a_metric_says_whose_it_is(faced):
    """Of which types, or the agent's own."""

    def act(face, _, instance):
        instance.declared = {METRIC.name: METRIC}
        whose = {each["name"]: each["collectors"] for each in face.metadata()}
        assert whose == {each.name: ["agent itself"] for each in METRICS} | {METRIC.name: ["it"]}

    faced(act)
