"""Bonds in eleven states, as a real driver told them: what each metric says, and what the sentences say."""

import pytest

from collectors.network import hardware
from collectors.network.bonds import NOBODY, Bond, Seen, Slave, State, state
from collectors.network.tests.kernel import RECORDINGS, attribute, info, link, recorded, states, told
from rscollector.testing import FakeContext, Root

SWITCH, OTHER = "6a:6b:6e:cc:c0:3a", "12:74:88:1d:89:78"
TABLE = {
    # state: ports, partner, h1, h2, failures of h2
    "01-lacp-healthy": (2, SWITCH, "bundled", "bundled", 0),
    "02-one-link-down": (1, SWITCH, "bundled", "link_down", 1),
    "03-link-back": (2, SWITCH, "bundled", "bundled", 1),
    "04-partner-silent-on-h2": (1, SWITCH, "bundled", "no_partner", 1),
    "05-second-switch-other-aggregator": (1, SWITCH, "bundled", "other_partner", 2),
    "06-no-partner": (1, None, "no_partner", "no_partner", 3),
    "07-no-partner-churned": (1, None, "no_partner", "no_partner", 3),
    "08-all-down": (0, None, "link_down", "link_down", 4),
    "09-as-nobody": (2, "ce:94:38:e8:27:9a", "bundled", "bundled", 0),
}


def with_files(tmp_path, recording, bond="bond0"):
    """Return a host on which /proc shows what it showed in a recording."""
    root = Root(tmp_path)
    root.write(f"proc/net/bonding/{bond}", (RECORDINGS / f"{recording}.bonding").read_bytes())
    return root


@pytest.mark.parametrize("recording", TABLE)
def test_each_state_of_lacp_is_told(recording, tmp_path):
    """Ports, partner, what each slave is to the bond, and how often its link failed."""
    ports, partner, first, second, failures = TABLE[recording]
    series, context = told(recorded(recording), root=with_files(tmp_path, recording))
    assert context.notes == []
    assert series['network_bond_mode_info{bond="bond0",mode="802.3ad"}'] == 1
    assert series['network_bond_slaves{bond="bond0"}'] == 2
    assert series['network_bond_ports{bond="bond0"}'] == ports
    assert series['network_bond_partner_present{bond="bond0"}'] == bool(partner)
    partners = [name for name in series if name.startswith("network_bond_partner_info")]
    wanted = [f'network_bond_partner_info{{bond="bond0",partner="{partner}"}}'] if partner else []
    assert partners == wanted
    assert states(series) == {"h1": first, "h2": second}
    assert series['network_bond_slave_up{bond="bond0",interface="h2"}'] == (second != "link_down")
    assert series['network_bond_slave_failures_total{bond="bond0",interface="h2"}'] == failures
    # It keeps its carrier when nobody answers: that is why there is something to tell.
    assert series['network_carrier{interface="bond0"}'] == (recording != "08-all-down")


def test_churn_is_what_proc_counts(tmp_path):
    """Of each side and slave; where /proc shows nothing, nothing is said."""
    series, _ = told(recorded("07-no-partner-churned"), root=with_files(tmp_path, "07-no-partner-churned"))
    found = {name.partition("{")[2]: value for name, value in series.items() if "slave_churned" in name}
    assert found == {
        'bond="bond0",interface="h1",side="actor"}': 0,
        'bond="bond0",interface="h1",side="partner"}': 1,
        'bond="bond0",interface="h2",side="actor"}': 1,
        'bond="bond0",interface="h2",side="partner"}': 1,
    }
    series, context = told(recorded("07-no-partner-churned"))
    assert (context.notes, [name for name in series if "churned" in name]) == ([], [])


def test_who_may_not_see_partners_is_told_of_the_aggregator():
    """That another switch is at the other end only /proc tells, and only to root."""
    series, _ = told(recorded("05-second-switch-other-aggregator"))
    assert states(series) == {"h1": "bundled", "h2": "wrong_aggregator"}


@pytest.mark.parametrize(
    ("recording", "active", "ports"), [("10-active-backup", "a1", 2), ("11-failed-over", "h2", 1)]
)
def test_active_backup_tells_who_is_active(recording, active, ports):
    """It has no partner, no states of LACP and no minimum of links; ports are the links that it has."""
    series, context = told(recorded(recording))
    assert context.notes == []
    assert series[f'network_bond_active_info{{bond="bond1",interface="{active}"}}'] == 1
    assert series['network_bond_mode_info{bond="bond1",mode="active-backup"}'] == 1
    assert series['network_bond_ports{bond="bond1"}'] == ports
    assert not [name for name in series if "partner" in name or "state" in name or "min_links" in name]


LACP = Bond("802.3ad", 0, 1, 1, 2, SWITCH, monitored=True)


@pytest.mark.parametrize(
    ("slave", "partner", "expected"),
    [
        (Slave(True, 0, 1, 61, 61), SWITCH, State.BUNDLED),  # slow timeouts
        (Slave(True, 0, 1, 63, 15), "", State.NEGOTIATING),  # the other end has it on hold
        (Slave(True, 0, 1, 15, 63), "", State.NEGOTIATING),
        (Slave(True, 0, 1, 0x80 | 7, 0), "", State.NEGOTIATING),  # expired: nobody knows yet
        (Slave(True, 0, 1, 79, 0), "", State.NO_PARTNER),
        (Slave(True, 0, 2, 7, 15), "", State.WRONG_AGGREGATOR),
        (Slave(True, 0, 2, 63, 63), SWITCH, State.WRONG_AGGREGATOR),  # another key
        (Slave(True, 0, 2, 7, 15), OTHER, State.OTHER_PARTNER),
        (Slave(True, 0, 2, 7, 15), NOBODY, State.NO_PARTNER),
        (Slave(False, 0, 1, 63, 63), SWITCH, State.LINK_DOWN),
    ],
)  # fmt: skip
def test_a_state_follows_from_all_that_decides_it(slave, partner, expected):
    """The link comes first, for the last states of LACP stay; then who is at the other end, then the bundle."""
    assert state(LACP, slave, has_carrier=True, partner=partner) is expected
    assert state(LACP, slave, has_carrier=False, partner=partner) is State.LINK_DOWN


def test_without_an_active_aggregator_nobody_is_in_the_wrong_one():
    """A bond that has just been made has none yet."""
    bond = Bond("802.3ad", 0, 0, 0, 0, NOBODY, monitored=True)
    assert state(bond, Slave(True, 0, 1, 7, 3), has_carrier=True) is State.NEGOTIATING


def test_a_mode_of_a_later_kernel_is_its_number():
    """Unknown kinds are told as they are."""
    made = link(2, "bond0", info("bond", [attribute(1, bytes([9]))]), flags=("UP", "MASTER"))
    series, context = told([made])
    assert series['network_bond_mode_info{bond="bond0",mode="9"}'] == 1
    assert series['network_bond_slaves{bond="bond0"}'] == 0
    assert context.notes == []


@pytest.mark.parametrize(
    ("recording", "sentence"),
    [
        ("01-lacp-healthy", f"The bond bond0 (802.3ad) can use 2 of its 2 interfaces (network_bond_ports), with the system {SWITCH}."),
        ("02-one-link-down", "h2 of bond0 has no link (network_carrier)."),
        ("04-partner-silent-on-h2", "h2 of bond0 hears no LACP from the other end (network_bond_slave_state)."),
        ("05-second-switch-other-aggregator", "h2 of bond0 is not in the active aggregator: another system, or other settings (network_bond_slave_state)."),
        ("06-no-partner", "The bond bond0 is up and has no LACP partner: nobody bundles its links at the other end, and it may reach nobody (network_bond_partner_present)."),
        ("08-all-down", "The bond bond0 has no carrier: it can use 0 of its 2 interfaces (network_bond_ports)."),
        ("10-active-backup", "The bond bond1 (active-backup) can use 2 of its 2 interfaces (network_bond_ports), and a1 is the active one."),
        ("11-failed-over", "h1 of bond1 has no link (network_carrier)."),
    ],
)  # fmt: skip
def test_sentences_say_what_is_so(recording, sentence):
    """The most important first."""
    _, context = told(recorded(recording))
    assert sentence in context.sentences


MII_UP, MII_DOWN = b"\0", b"\2"
UNUSED = "h1 of bond1 has a carrier, and the bond does not count it as up{} (network_bond_slave_up)."
WAITS = ": it has not looked yet, or waits for updelay, an answer to ARP, or the link's speed"
STILL_USED = "h1 of bond1 has no link, and the bond takes it for up (network_carrier, network_bond_slave_up)."
UNWATCHED = "bond1 does not look whether its links are up: miimon and arp_interval are 0."


@pytest.mark.parametrize(
    ("has_carrier", "mii", "miimon", "arp_interval", "sentences"),
    [
        (True, MII_UP, 100, 0, []),
        (True, MII_UP, 0, 0, [UNWATCHED]),
        (False, MII_UP, 0, 0, [STILL_USED, UNWATCHED]),
        (False, MII_UP, 100, 0, [STILL_USED]),  # its monitoring has not come to it yet
        (True, MII_DOWN, 0, 200, [UNUSED.format(WAITS)]),  # nobody answers ARP there
        (True, MII_DOWN, 0, 0, [UNUSED.format(""), UNWATCHED]),  # it was down when the bond ceased to look
    ],
)
def test_a_bond_may_take_a_link_for_what_it_is_not(has_carrier, mii, miimon, arp_interval, sentences):
    """The kernel's default is to monitor nothing, and then a bond uses a link that is lost (node_exporter #3319)."""
    flags = ("UP", "SLAVE", *(["LOWER_UP"] if has_carrier else []))
    slave = info("veth", slave_kind="bond", slave_data=[attribute(2, mii)])
    bond = info("bond", [attribute(1, b"\1"), attribute(3, miimon), attribute(7, arp_interval)])
    links = [
        link(2, "h1", slave, attribute(10, 3), flags=flags),
        link(3, "bond1", bond, flags=("UP", "LOWER_UP", "MASTER")),
    ]
    series, context = told(links)
    assert context.sentences[1:-1] == sentences
    assert series['network_bond_slave_up{bond="bond1",interface="h1"}'] == (mii == MII_UP)
    assert series['network_bond_ports{bond="bond1"}'] == (mii == MII_UP and has_carrier)


def test_a_bond_that_has_lost_its_last_interface_has_none():
    """It is up, and there is nothing that it could be waiting for."""
    _, context = told([link(2, "bond1", info("bond", [attribute(1, b"\1")]), flags=("UP", "MASTER"))])
    assert context.sentences[0] == "The bond bond1 is up and has no interface (network_bond_slaves)."


@pytest.mark.parametrize("bonding", [b"", b"\xff\0\n" * 100, b"Slave Interface: h1\nActor Churned Count: 99999999999999999999999\n", b"Actor Churned Count: 1\n" * 1000])  # fmt: skip
def test_whatever_stands_in_proc_costs_nothing_else(bonding, tmp_path):
    """The rest is told."""
    root = Root(tmp_path)
    root.write("proc/net/bonding/bond0", bonding)
    series, _ = told(recorded("01-lacp-healthy"), root=root)
    assert states(series) == {"h1": "bundled", "h2": "bundled"}


def bond(index, name, mode, *more, flags=("UP", "LOWER_UP", "MASTER")):
    """Return the message of a bond; `more` is what else it says of itself."""
    return link(index, name, info("bond", [attribute(1, bytes([mode])), *more]), flags=flags)


def slave(index, name, master, mii=0, flags=("UP", "LOWER_UP", "SLAVE")):
    """Return the message of an interface of a bond, which says of it what `mii` is."""
    data = [attribute(2, bytes([mii])), attribute(3, 7)]
    return link(index, name, attribute(10, master), info("", (), "bond", data), flags=flags)


MODES = [
    "balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb", "7",
]  # fmt: skip


@pytest.mark.parametrize(("number", "mode"), list(enumerate(MODES)))
def test_modes_have_the_names_that_the_driver_gives_them(number, mode):
    """And all but LACP can use what has a link; only LACP has partners and a minimum of links."""
    said = [bond(9, "bond0", number, attribute(18, 2)), slave(1, "eth0", 9), slave(2, "eth1", 9, mii=2)]
    series, context = told(said)
    assert context.notes == []
    assert series[f'network_bond_mode_info{{bond="bond0",mode="{mode}"}}'] == 1
    lacp = mode == "802.3ad"
    assert series['network_bond_ports{bond="bond0"}'] == (0 if lacp else 1)
    assert series.get('network_bond_min_links{bond="bond0"}') == (2 if lacp else None)
    assert any("partner" in name for name in series) == lacp
    assert not any("network_bond_active_info" in name for name in series)


@pytest.mark.parametrize(("mii", "up"), [(0, 1), (1, 0), (2, 0), (3, 0)])
def test_a_link_that_waits_for_its_delay_is_not_up_to_the_bond(mii, up):
    """Going down, down and going back are three words of the driver for what it does not count on."""
    series, context = told([bond(9, "bond0", 1), slave(1, "eth0", 9, mii=mii)])
    assert series['network_bond_slave_up{bond="bond0",interface="eth0"}'] == up
    waits = (
        "eth0 of bond0 has a carrier, and the bond does not count it as up: it has not looked yet, or waits for "
        "updelay, an answer to ARP, or the link's speed (network_bond_slave_up)."
    )
    assert (waits in context.sentences) == (not up)


def test_each_bond_has_its_own():
    """Interfaces belong to the bond that is their master, and those of a bridge to none."""
    said = [
        bond(8, "bond0", 1, attribute(2, 2)), bond(9, "bond1", 1), slave(1, "eth0", 8), slave(2, "eth1", 8),
        slave(3, "eth2", 9), link(4, "eth3", attribute(10, 9), info("", (), "bridge", [attribute(2, b"")])),
    ]  # fmt: skip
    series, context = told(said)
    assert context.notes == []
    assert [series[f'network_bond_slaves{{bond="bond{n}"}}'] for n in (0, 1)] == [2, 1]
    assert [name for name in series if "active_info" in name] == [
        'network_bond_active_info{bond="bond0",interface="eth1"}'
    ]


def test_of_a_bond_that_is_switched_off_only_what_it_is_is_told():
    """The driver tells what was so before: nothing of that is passed on, in numbers or in sentences."""
    flags = ("MASTER",)
    unwatched = [attribute(number, 0) for number in (3, 7)]
    off = bond(9, "bond0", 1, attribute(2, 1), *unwatched, flags=flags)
    series, context = told([off, slave(1, "eth0", 9, mii=2)])
    assert {name for name in series if "bond_" in name} == {
        'network_bond_mode_info{bond="bond0",mode="active-backup"}',
        'network_bond_slaves{bond="bond0"}',
    }
    assert [each for each in context.sentences if "bond0" in each] == [
        "The bond bond0 is switched off (network_up)."
    ]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("UP", "MASTER"), ["eth0 of bond0 has no link (network_carrier)."]),
        (("MASTER",), []),
    ],
)
def test_a_device_of_a_bond_is_told_by_its_bond(tmp_path, flags, said):
    """That it has no link is told once, and is nobody's trouble while the bond is switched off."""
    root = Root(tmp_path)
    root.write("sys/class/net/eth0/device/vendor", "")
    links = [bond(9, "bond0", 1, flags=flags), slave(1, "eth0", 9, mii=2, flags=("UP", "SLAVE"))]
    series, context = told(links, root=root)
    assert [name for name in series if 'interface="eth0",kind="physical"' in name]
    assert context.sentences[1:-1] == said


@pytest.mark.parametrize(
    ("mode", "links", "wanted"), [(4, 2, ", and wants 2"), (4, 1, ""), (4, 0, ""), (1, 2, "")]
)
def test_a_bond_that_wants_more_links_says_so(mode, links, wanted):
    """Only LACP knows a minimum of links, and one is what every bond wants."""
    said = [bond(9, "bond0", mode, attribute(18, links), flags=("UP", "MASTER")), slave(1, "eth0", 9, mii=2)]
    _, context = told(said)
    assert context.sentences[0] == (
        f"The bond bond0 has no carrier: it can use 0 of its 1 interfaces (network_bond_ports){wanted}."
    )


@pytest.mark.parametrize(("actor", "partner"), [(0x1F, 0x3F), (0x2F, 0x3F), (0x3F, 0x1F), (0x3F, 0x2F)])
def test_who_collects_and_does_not_distribute_is_not_bundled_yet(actor, partner):
    """Nor who does it the other way round, at either end."""
    assert state(LACP, Slave(True, 0, 1, actor, partner), has_carrier=True) is State.NEGOTIATING


def test_a_slave_that_is_in_no_aggregator_yet_is_in_no_wrong_one():
    """The driver tells no number of LACP before it has given the slave one."""
    assert state(LACP, Slave(True, 0, 0, 0, 0), has_carrier=True) is State.NEGOTIATING


PDUS = b"""Slave Interface: h1
Actor Churned Count: 1
Partner Churned Count: 2
details partner lacp pdu:
    system mac address: 12:74:88:1d:89:78
details actor lacp pdu:
    system mac address: 6a:6b:6e:cc:c0:3a

Slave Interface: h2
details actor lacp pdu:
    system mac address: 6a:6b:6e:cc:c0:3a
details partner lacp pdu:
    system mac address: 12:74:88:1d:89:78

Slave Interface: h3
    system mac address: 6a:6b:6e:cc:c0:3a
"""


def test_the_partner_is_the_one_of_the_partners_section(tmp_path):
    """Wherever that stands, and of no slave but the one that it is told of."""
    found = hardware.seen(FakeContext(root=_bonding(tmp_path, PDUS)), b"bond0")
    assert found == {b"h1": Seen(1, 2, OTHER), b"h2": Seen(0, 0, OTHER), b"h3": Seen(0, 0, "")}


def test_what_cannot_be_read_in_proc_is_not_there(tmp_path):
    """A directory in its place, for one."""
    root = Root(tmp_path)
    root.write("proc/net/bonding/bond0/file", "")
    assert hardware.seen(FakeContext(root=root), b"bond0") == {}


def _bonding(tmp_path, text):
    root = Root(tmp_path)
    root.write("proc/net/bonding/bond0", text)
    return root
