"""The types of settings: what they accept, what they say, and what they hide."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rscollector.model.feed import Feed
from rscollector.model.settings import ByteSize, Duration, IpAddress, Listen, Rate, Secret, humanized, setting


@pytest.mark.parametrize(
    ("text", "seconds"), [("15s", 15), ("250ms", 0.25), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172800)]
)
def test_a_duration_is_read_in_seconds(text, seconds):
    """A number and a unit, or several of them."""
    assert Duration(text) == seconds
    assert Duration(Duration(text)) == seconds


@pytest.mark.parametrize("wrong", [15, 1.5, "15", "s", "", "-1s", "15 s", "١٥s", None, ["15s"]])
def test_what_is_no_duration_is_refused(wrong):
    """A bare number is refused: its unit would be a guess."""
    with pytest.raises(ValueError, match='a duration such as "15s"'):
        Duration(wrong)


def test_a_duration_shows_itself_as_a_person_would_say_it():
    """In sentences it has its units."""
    assert f"{Duration('90s')}" == "1 min 30 s"


@pytest.mark.parametrize(
    ("text", "size"),
    [(65536, 65536), ("64K", 65536), ("64 KiB", 65536), ("1.5G", 3 << 29), ("7B", 7), ("10M", 10 << 20)],
)
def test_a_size_is_read_in_bytes(text, size):
    """Powers of 1024, with or without iB."""
    assert ByteSize(text) == size


@pytest.mark.parametrize("wrong", [-1, True, 1.5, "K", "1X", "٣K", None])
def test_what_is_no_size_is_refused(wrong):
    """Anything else is refused."""
    with pytest.raises(ValueError, match="a size in bytes"):
        ByteSize(wrong)


def test_a_secret_shows_itself_to_nobody_who_does_not_ask():
    """repr, str, format and an error's text have stars; `reveal` has the text."""
    secret = Secret("hunter2")
    assert {repr(secret), str(secret), f"{secret}", f"{secret!r:>5}"} == {"Secret('***')"}
    assert secret.reveal() == "hunter2"
    assert (secret == Secret("hunter2"), secret == "hunter2", len({secret, Secret("hunter2")})) == (
        True,
        False,
        1,
    )


def test_a_secret_is_not_in_what_is_shown_of_those_who_have_it():
    """Neither a dataclass with a secret nor an error about one shows the text."""

    @dataclass(frozen=True)
    class Login:
        user: str
        password: Secret

    login = Login("root", Secret("hunter2"))
    for shown in (repr(login), f"{login}", str([login.password]), str(ValueError(login.password))):
        assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("text", "canonical"), [("192.0.2.1", "192.0.2.1"), ("2001:DB8:0::1", "2001:db8::1")]
)
def test_an_address_is_kept_in_its_canonical_form(text, canonical):
    """Two ways to write an address are one address."""
    address = IpAddress(text)
    assert (address.text, address == IpAddress(canonical)) == (canonical, True)
    assert repr(address) == f"IpAddress('{canonical}')"
    assert len({address, IpAddress(canonical)}) == 1


@pytest.mark.parametrize("wrong", ["192.0.2.300", "host", "", None, 5, "192.0.2.0/24"])
def test_what_is_no_address_is_refused(wrong):
    """Names, networks and numbers are no addresses."""
    with pytest.raises(ValueError, match="an IP address such as"):
        IpAddress(wrong)


def test_an_address_with_a_zone_is_refused():
    """A zone belongs to an interface, not to an address that may move."""
    with pytest.raises(ValueError, match="without a zone"):
        IpAddress("fe80::1%eth0")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("127.0.0.1:10070", "127.0.0.1:10070"),
        ("[::1]:80", "[::1]:80"),
        (":10070", "0.0.0.0:10070"),
        ("[::]:0", "[::]:0"),
        ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
    ],
)
def test_a_listening_address_has_a_host_and_a_port(text, shown):
    """IPv6 stands in brackets; no host means all IPv4 addresses."""
    assert str(Listen(text)) == shown
    assert (repr(Listen(text)), len({Listen(text), Listen(shown)})) == (f"Listen('{shown}')", 1)


@pytest.mark.parametrize(
    "wrong",
    [
        "localhost:80",
        "127.0.0.1",
        "127.0.0.1:x",
        "::1:80",
        "1.2.3.4:99999",
        "1.2.3.4:²",
        "1.2.3.4:٨٠",
        80,
        None,
    ],
)
def test_what_nobody_can_listen_on_is_refused(wrong):
    """Names are not resolved, and IPv6 without brackets is ambiguous."""
    with pytest.raises(ValueError, match="an address and port such as"):
        Listen(wrong)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 ms"),
        (0.0008, "0.8 ms"),
        (0.25, "250 ms"),
        (4, "4 s"),
        (4.26, "4.3 s"),
        (90, "1 min 30 s"),
        (5400, "1 h 30 min"),
        (90061, "1 d 1 h"),
    ],
)
def test_seconds_are_said_as_a_person_would(seconds, shown):
    """No more than two units, and no more digits than anyone reads."""
    assert humanized(seconds) == shown


def test_a_setting_is_a_dataclass_field_with_a_sentence():
    """Defaults, factories and required settings carry their help."""
    made = [setting("A."), setting("B.", default=1), setting("C.", default_factory=dict)]
    assert [each.metadata["help"] for each in made] == ["A.", "B.", "C."]


@given(days=st.integers(0, 99), minutes=st.integers(0, 99), milliseconds=st.integers(0, 9999))
def test_the_parts_of_a_duration_add_up(days, minutes, milliseconds):
    """Several numbers with units are their sum, to the microsecond."""
    expected = days * 86400 + minutes * 60 + milliseconds / 1000
    assert Duration(f"{days}d{minutes}m{milliseconds}ms") == pytest.approx(expected, abs=1e-6)


@given(st.integers(0, 2**62))
def test_a_number_of_bytes_is_that_number(size):
    """A whole number is taken as it is, and in kilobytes it is 1024 times as much."""
    assert (ByteSize(size), ByteSize(f"{size % 2**40}K")) == (size, size % 2**40 * 1024)
    assert ByteSize(str(ByteSize(size))) == size


@given(address=st.ip_addresses(), port=st.integers(0, 65535))
def test_a_listening_address_can_be_read_as_it_is_shown(address, port):
    """What is shown may be copied into the configuration."""
    text = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    assert Listen(str(Listen(text))) == Listen(text)
    assert str(Listen(text)) == text or address.ipv4_mapped


@given(st.ip_addresses())
def test_an_address_can_be_read_as_it_is_shown(address):
    """The canonical form is an address, and the same one."""
    assert IpAddress(IpAddress(str(address)).text) == IpAddress(str(address))
    assert IpAddress(str(address)).version == address.version


@given(st.floats(0, 1e9))
def test_a_time_is_said_with_one_or_two_units(seconds):
    """However long or short, an operator reads at most two numbers, each with its unit."""
    words = humanized(seconds).split()
    assert len(words) in (2, 4)
    assert set(words[1::2]) <= {"ms", "s", "min", "h", "d"}


def test_different_settings_are_not_equal():
    """A setting is equal to one that means the same, and to nothing else."""
    assert IpAddress("192.0.2.1") not in (IpAddress("192.0.2.2"), "192.0.2.1")
    assert Listen("[::1]:80") not in (Listen("[::1]:81"), "[::1]:80")
    assert Secret("a") not in (Secret("b"), "a")


def test_a_size_is_exact_however_large():
    """What is written as a text loses no byte."""
    assert ByteSize("9007199254740993") == 9007199254740993
    assert ByteSize("9" * 400) == int("9" * 400)


def test_a_duration_without_end_is_refused():
    """More seconds than a number can hold are a mistake."""
    with pytest.raises(ValueError, match="not that long"):
        Duration("9" * 400 + "s")


def test_a_rate_is_a_number_in_each_second():
    """Written with its "/s"; a bare number is refused."""
    assert (int(Rate("1000/s")), int(Rate("1M/s")), str(Rate("1M/s"))) == (1000, 1 << 20, "1M/s")
    for wrong in ("1000", 1000, "fast/s", "1/m", None):
        with pytest.raises(ValueError, match="such as"):
            Rate(wrong)


@pytest.mark.parametrize(
    ("wide", "other", "covered"),
    [
        (":1", "127.0.0.1:1", True),
        ("127.0.0.1:1", ":1", False),
        (":1", "[::1]:1", False),
        ("[::]:1", "[::1]:1", True),
        ("[::]:1", ":1", False),
        ("[::]:1", "127.0.0.1:2", False),
        ("127.0.0.1:1", "127.0.0.1:1", True),
        (":0", "127.0.0.1:0", False),
    ],
)
def test_an_address_may_leave_no_place_for_another(wide, other, covered):
    """All of IPv4's, all of both families', the same again; the kernel finds a port for each 0."""
    assert Listen(wide).covers(Listen(other)) is covered


def test_what_an_instance_is_fed_with_is_a_word():
    """As it travels to a worker."""
    assert [Feed("runs"), Feed("page"), Feed("")] == [Feed.RUNS, Feed.PAGE, Feed.NOTHING]


@pytest.mark.parametrize(
    ("text", "local"),
    [("127.0.0.1:1", True), ("[::1]:1", True), (":1", False), ("[::]:1", False), ("192.0.2.1:1", False)],
)
def test_an_address_that_only_this_host_reaches_is_known(text, local):
    """All others are open to whoever reaches them."""
    assert Listen(text).is_local is local
