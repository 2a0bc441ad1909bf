"""From tables to dataclasses: every fault at once, and the way back."""

from dataclasses import dataclass
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rscollector.config.build import Builder, Unresolved, plain, secrets_in, type_name, unknown
from rscollector.model.settings import ByteSize, Duration, IpAddress, Listen, Secret, setting


class Mode(StrEnum):
    """An enum."""

    FAST = "fast"
    SLOW = "slow"


@dataclass(frozen=True)
class Inner:
    """A nested table."""

    port: int = setting("A port.", default=1)


@dataclass(frozen=True)
class Everything:
    """A setting of each type."""

    text: str = setting("Required.")
    number: int = setting("A number.", default=1)
    share: float = setting("A fraction.", default=0.5)
    flag: bool = setting("A switch.", default=False)
    wait: Duration = setting("A time.", default=Duration("1s"))
    size: ByteSize = setting("A size.", default=ByteSize(1))
    mode: Mode = setting("An enum.", default=Mode.FAST)
    maybe: int | None = setting("Or none.", default=None)
    addresses: tuple[IpAddress, ...] = setting("A list.", default=())
    listen: Listen = setting("An address.", default=Listen("127.0.0.1:1"))
    tags: dict[str, str] = setting("A table.", default_factory=dict)
    inner: Inner = setting("A nested table.", default=Inner())
    password: Secret | None = setting("A secret.", default=None)

    def __post_init__(self):
        if self.number == 13:
            raise ValueError("number is not 13")


def kept(place):
    """Return a secret that is kept in this place."""
    return Secret("", place)


def built(table, secret=kept):
    """Return what was built and the faults as (path, reason)."""
    builder = Builder(secret)
    value = builder.table(Everything, table, ("x",))
    return value, [(".".join(path), reason) for path, reason in builder.faults]


def test_all_faults_are_named_at_once():
    """Each wrong value is named with its path, what was expected, and what is there."""
    table = {
        "number": "1",
        "share": "half",
        "flag": 1,
        "wait": 5,
        "size": -1,
        "mode": "quick",
        "maybe": 1.5,
        "addresses": ["192.0.2.1", "nowhere"],
        "listen": "here",
        "tags": {"a": 1},
        "inner": {"prot": 5},
        "password": "hunter2",
        "colour": "red",
    }
    value, faults = built(table, lambda _: (_ for _ in ()).throw(ValueError("a secret's place")))
    assert value is None
    assert dict(faults) == {
        "x.colour": f"unknown key; known: {', '.join(sorted(Everything.__dataclass_fields__))}",
        "x.text": "is required: Required.",
        "x.number": 'expected a whole number, not "1"',
        "x.share": 'expected a number, not "half"',
        "x.flag": "expected true or false, not 1",
        "x.wait": 'expected a duration such as "15s", "250ms" or "1h30m", not 5',
        "x.size": 'expected a size in bytes such as 65536, "64K" or "10M", not -1',
        "x.mode": 'expected "fast" or "slow", not "quick"',
        "x.maybe": "expected a whole number, not 1.5",
        "x.addresses.1": 'expected an IP address such as "192.0.2.10" or "2001:db8::10", not "nowhere"',
        "x.listen": 'expected an address and port such as "127.0.0.1:10070" or "[::1]:10070", not "here"',
        "x.tags.a": "expected a text in quotes, not 1",
        "x.inner.prot": 'unknown key; did you mean "port"?',
        "x.password": "expected a secret's place",
    }


def test_tables_and_lists_are_expected_where_they_belong():
    """A value in the place of a table or list is named as such."""
    _, faults = built({"text": "", "inner": 5, "addresses": "192.0.2.1", "tags": [1], "mode": {"a": 1}})
    assert dict(faults) == {
        "x.inner": "expected a table, not 5",
        "x.addresses": 'expected a list [ … ], not "192.0.2.1"',
        "x.tags": "expected a table { … }, not a list",
        "x.mode": 'expected "fast" or "slow", not a table',
    }


def test_a_dataclass_may_refuse_what_does_not_fit_together():
    """A ValueError of the dataclass itself is a fault at its table."""
    assert built({"text": "", "number": 13}) == (None, [("x", "number is not 13")])


def test_a_whole_number_is_a_number():
    """TOML's 1 is as good as its 1.0, but true is no number."""
    assert built({"text": "", "share": 1})[0].share == 1.0
    assert built({"text": "", "number": True})[1] == [("x.number", "expected a whole number, not true")]


@dataclass(frozen=True)
class Shared:
    """What stands in one table beside the settings of others."""

    wait: Duration = setting("A time.", default=Duration("1s"))
    share: float = setting("A fraction.", default=0.5)

    def __post_init__(self):
        if self.share > 1:
            raise ValueError("share is at most 1")


def test_two_dataclasses_are_built_out_of_one_table():
    """Each takes its own keys, on top of the defaults that it was given."""
    builder = Builder(kept)
    shared, rest = builder.part(Shared(share=0.25), {"wait": "5s", "port": 7}, ("x",))
    assert (shared, rest) == (Shared(wait=Duration("5s"), share=0.25), {"port": 7})
    assert builder.table(Inner, rest, ("x",), beside=Shared) == Inner(port=7)
    assert builder.faults == []


def test_each_fault_of_a_table_for_two_is_told_once():
    """A wrong key of one leaves the other alone, and an unknown one may have been meant for either."""
    builder = Builder(kept)
    defaults = Shared()
    shared, rest = builder.part(defaults, {"wait": 5, "sahre": 1, "port": "7"}, ("x",))
    assert shared is defaults
    assert builder.table(Inner, rest, ("x",), beside=Shared) is None
    assert sorted((".".join(path), reason) for path, reason in builder.faults) == [
        ("x.port", 'expected a whole number, not "7"'),
        ("x.sahre", 'unknown key; did you mean "share"?'),
        ("x.wait", 'expected a duration such as "15s", "250ms" or "1h30m", not 5'),
    ]


@pytest.mark.parametrize(
    ("value", "fault"), [(5, "expected a table, not 5"), ({"share": 2.0}, "share is at most 1")]
)
def test_a_part_that_is_refused_leaves_the_defaults(value, fault):
    """What is no table, and what does not fit together, is a fault at the table."""
    builder = Builder(kept)
    assert builder.part(Shared(), value, ("x",)) == (Shared(), {})
    assert builder.faults == [(("x",), fault)]


def test_a_secret_that_cannot_be_read_is_a_problem_and_no_fault():
    """The file is right and the world is not: this is told apart."""

    def unreadable(_):
        raise Unresolved("the file is not there")

    builder = Builder(unreadable)
    assert builder.table(Everything, {"text": "", "password": {"file": "x"}}, ()) is None
    assert (builder.faults, [(".".join(path), why) for path, why in builder.problems]) == (
        [],
        [("password", "the file is not there")],
    )


def test_long_values_are_shown_in_part():
    """A message does not repeat a whole novel."""
    _, faults = built({"text": "", "number": "y" * 100})
    assert faults == [("x.number", f'expected a whole number, not "{"y" * 37}…"')]


def test_an_unknown_key_is_told_what_may_have_been_meant():
    """The nearest known key is offered, or all of them, or none."""
    assert unknown("adress", ["address", "port"]) == 'unknown key; did you mean "address"?'
    assert unknown("x", ["b", "a"]) == "unknown key; known: a, b"
    assert unknown("x", []) == "unknown key; known: none"


def test_types_have_names_for_the_documentation():
    """A reader of the tables sees words and not Python."""
    names = [
        type_name(each) for each in (int | None, tuple[IpAddress, ...], dict[str, str], Mode, Inner, Duration)
    ]
    assert names == [
        "whole number",
        "list of IP address",
        "table of text",
        '"fast" or "slow"',
        "table",
        "duration",
    ]


@dataclass(frozen=True)
class Outer:
    """Tables within lists, tables and tables."""

    servers: tuple[Inner, ...] = setting("A list of tables.", default=())
    named: dict[str, Inner] = setting("A table of tables.", default_factory=dict)
    maybe: Inner | None = setting("A table or none.", default=None)
    tokens: tuple[Secret, ...] = setting("Secrets.", default=())


def test_a_fault_deep_inside_is_named_with_its_whole_path():
    """Lists count from 0, tables have their keys."""
    table = {
        "servers": [{"port": 1}, {"port": "x"}, 5],
        "named": {"a": {"port": 1}, "b": {"prt": 1}},
        "maybe": {"port": True},
    }
    builder = Builder(kept)
    assert builder.table(Outer, table, ()) is None
    assert {".".join(path): reason for path, reason in builder.faults} == {
        "servers.1.port": 'expected a whole number, not "x"',
        "servers.2": "expected a table, not 5",
        "named.b.prt": 'unknown key; did you mean "port"?',
        "maybe.port": "expected a whole number, not true",
    }


def test_what_is_deep_inside_finds_its_way_back():
    """Lists and tables of tables, and lists of secrets, are built again out of their plain form."""
    value = Outer((Inner(1), Inner(2)), {"a": Inner(3)}, Inner(4), (kept({"file": "x"}), kept({"env": "y"})))
    assert Builder(kept).table(Outer, plain(value), ()) == value
    assert list(secrets_in(value, ("z",))) == [
        (("z", "tokens", "0"), kept({"file": "x"})),
        (("z", "tokens", "1"), kept({"env": "y"})),
    ]


def test_secrets_are_found_wherever_they_are():
    """In a table of tables and in a list, each with the path that it has in the configuration."""
    found = secrets_in({"a": Outer((), {}, None, ()), "b": (kept({"env": "x"}),)}, ())
    assert list(found) == [(("b", "0"), kept({"env": "x"}))]


def test_a_secrets_literal_text_is_in_no_fault():
    """Where a place is expected, whatever stands there is not repeated."""

    def refuse(_):
        raise ValueError("a secret's place")

    for wrong in ("hunter2", {"fiel": "hunter2"}, ["hunter2"]):
        builder = Builder(refuse)
        builder.table(Everything, {"text": "", "password": wrong}, ())
        assert [".".join(each.path) for each in builder.faults] == ["password"]
        assert "hunter2" not in repr(builder.faults)


texts = st.text()
everything = st.builds(
    Everything,
    text=texts,
    number=st.integers().filter(lambda number: number != 13),
    share=st.floats(allow_nan=False),
    flag=st.booleans(),
    wait=st.floats(0, 1e9).map(lambda seconds: Duration(f"{seconds:.6f}s")),
    size=st.integers(0, 2**60).map(ByteSize),
    mode=st.sampled_from(Mode),
    maybe=st.none() | st.integers(),
    addresses=st.lists(st.ip_addresses().map(str).map(IpAddress)).map(tuple),
    listen=st.integers(0, 65535).map(lambda port: Listen(f"[::1]:{port}")),
    tags=st.dictionaries(texts, texts),
    inner=st.builds(Inner, port=st.integers()),
    password=st.none() | texts.map(lambda text: kept({"file": text})),
)


@given(everything)
def test_plain_is_the_way_back(value):
    """What is made plain for the wire is built again, and of secrets their places."""
    assert built(plain(value)) == (value, [])


def test_a_secret_that_stands_for_several_is_not_shown():
    """A password in the place of a list or a table of secrets is refused and not repeated."""
    builder = Builder(kept)
    builder.value(tuple[Secret, ...], "hunter2", ("a",))
    builder.value(dict[str, Secret], "hunter2", ("b",))
    assert [fault.reason for fault in builder.faults] == [
        "expected a list [ … ], not one that is written here",
        "expected a table { … }, not one that is written here",
    ]


def test_a_number_that_no_float_can_hold_is_refused():
    """What is too large is a fault and no crash."""
    assert [path for path, _ in built({"text": "", "share": 10**400})[1]] == ["x.share"]
