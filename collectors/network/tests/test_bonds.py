"""Bonds in eleven states, as a real driver told them: what each metric says, and what the sentences say."""

import pytest

from collectors.network.bonds import NOBODY, Bond, Slave, State, state
from collectors.network.tests.kernel import RECORDINGS, attribute, info, link, recorded, states, told
from rscollector.testing import Root

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
    bond = Bond("802.3ad", 0, 0, None, 0, NOBODY, monitored=True)
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
        ("02-one-link-down", "h2 of bond0 has no link (network_bond_slave_state)."),
        ("04-partner-silent-on-h2", "h2 of bond0 hears no LACP from the other end (network_bond_slave_state)."),
        ("05-second-switch-other-aggregator", "h2 of bond0 is not in the active aggregator: another system, or other settings (network_bond_slave_state)."),
        ("06-no-partner", "The bond bond0 is up and has no LACP partner: nobody bundles its links at the other end, and it may reach nobody (network_bond_partner_present)."),
        ("08-all-down", "The bond bond0 has no carrier: it can use 0 of its 2 interfaces (network_bond_ports)."),
        ("10-active-backup", "The bond bond1 (active-backup) can use 2 of its 2 interfaces (network_bond_ports), and sends by a1."),
        ("11-failed-over", "h1 of bond1 has no link (network_bond_slave_up)."),
    ],
)  # fmt: skip
def test_sentences_say_what_is_so(recording, sentence):
    """The most important first."""
    _, context = told(recorded(recording))
    assert sentence in context.sentences


MII_UP, MII_DOWN = b"\0", b"\2"
UNUSED = "h1 of bond1 has a carrier, and the bond does not take it for up (network_bond_slave_up)."
STILL_USED = "h1 of bond1 has no carrier, and the bond goes on using it (network_bond_slave_up)."
UNWATCHED = "bond1 does not look whether its links are up: miimon and arp_interval are 0."


@pytest.mark.parametrize(
    ("has_carrier", "mii", "miimon", "arp_interval", "sentences"),
    [
        (True, MII_UP, 100, 0, []),
        (True, MII_UP, 0, 0, [UNWATCHED]),
        (False, MII_UP, 0, 0, [STILL_USED, UNWATCHED]),
        (False, MII_UP, 100, 0, [STILL_USED]),  # its monitoring has not come to it yet
        (True, MII_DOWN, 0, 200, [UNUSED]),  # nobody answers ARP there
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
