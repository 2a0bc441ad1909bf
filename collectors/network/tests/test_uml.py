"""Real bonds in a user-mode Linux, beside ip, node_exporter and /proc; the recordings (test_bonds.py) always run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from collectors.network.tests.kernel import states

HERE, ROOT = Path(__file__).parent, Path(__file__).resolve().parents[3]
EXPECTED = {
    # what: carrier, ports, partner, h1, h2, node_exporter's active
    "healthy": (1, 2, True, "bundled", "bundled", 2),
    "link down": (1, 1, True, "bundled", "link_down", 1),
    "fewer than it wants": (0, 1, True, "bundled", "link_down", 1),
    "other switch": (1, 1, True, "bundled", "other_partner", 2),
    "partner silent": (1, 1, True, "bundled", "no_partner", 2),
    "no partner": (1, 1, False, "no_partner", "no_partner", 2),
    "all down": (0, 0, False, "link_down", "link_down", 0),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What was told of each state."""
    out = tmp_path_factory.mktemp("uml")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "TIME": "250"}
    command = [HERE / "boot_bonds.sh", out, sys.executable, HERE / "bond_scenario.py"]
    subprocess.run(command, cwd=ROOT, env=environment, timeout=280, check=False)
    assert (out / "status").read_text() == "0\n", (out / "errors").read_text()
    lines = map(json.loads, (out / "result").read_text().splitlines())
    return {each["what"]: each for each in lines}


pytestmark = [
    pytest.mark.long,
    pytest.mark.needs("root", "linux.uml", "kmod", "ip", "prometheus-node-exporter"),
]


def test_each_state_of_a_real_bond_is_told_as_it_is(told):
    """And as ip, node_exporter and /proc tell it in the same moment, as far as they do."""
    for what, (carrier, ports, partner, first, second, active) in EXPECTED.items():
        here = told[what]
        series = here["series"]
        assert (here["ip"], here["proc"], here["node_exporter"], here["notes"]) == ({}, {}, {}, []), what
        assert series['network_carrier{interface="bond0"}'] == carrier, what
        assert series['network_bond_ports{bond="bond0"}'] == ports, what
        assert series['network_bond_partner_present{bond="bond0"}'] == partner, what
        assert states(series) == {"h1": first, "h2": second}, what
        assert here["bonding"] == {"node_bonding_slaves/bond0": 2, "node_bonding_active/bond0": active}, what


def test_a_user_without_privileges_is_told_nearly_the_same(told):
    """Who the other partner is is hidden, and that there is one is not."""
    assert told["other switch as nobody"]["states"] == {"h1": "bundled", "h2": "wrong_aggregator"}


def test_of_a_bond_that_is_switched_off_only_what_it_is_is_told(told):
    """Its driver tells what was so before."""
    series = told["switched off"]["series"]
    assert {name.partition("{")[0] for name in series if "bond_" in name} == {
        "network_bond_mode_info",
        "network_bond_slaves",
    }
    assert told["switched off"]["sentences"][0] == "The bond bond0 is switched off (network_up)."


def test_active_backup_fails_over(told):
    """The other one is active, and the failure is counted."""
    before, after = told["active-backup"], told["failed over"]
    for each in (before, after):
        assert (each["ip"], each["proc"], each["node_exporter"], each["notes"]) == ({}, {}, {}, [])
    assert 'network_bond_active_info{bond="bond1",interface="h1"}' in before["series"]
    assert 'network_bond_active_info{bond="bond1",interface="h2"}' in after["series"]
    assert after["series"]['network_bond_slave_failures_total{bond="bond1",interface="h1"}'] == 1


def test_a_bond_that_monitors_nothing_goes_on_using_a_lost_link(told):
    """Its own word, which /proc and node_exporter have, is that the link is up; that it cannot be used is told."""
    here = told["unmonitored"]
    assert (here["ip"], here["notes"]) == ({}, [])
    assert here["series"]['network_bond_slave_up{bond="bond1",interface="h2"}'] == 1
    assert 'network_bond_active_info{bond="bond1",interface="h2"}' in here["series"]
    assert here["series"]['network_bond_ports{bond="bond1"}'] == 0
    assert here["sentences"][1:4] == [
        "h1 of bond1 has no link (network_carrier).",
        "h2 of bond1 has no link, and the bond takes it for up (network_carrier, network_bond_slave_up).",
        "bond1 does not look whether its links are up: miimon and arp_interval are 0.",
    ]


def test_a_bond_without_any_interface_can_use_none(told):
    """It is up, and nothing else tells that it reaches nobody."""
    here = told["the last one gone"]
    assert (here["ip"], here["notes"]) == ({}, [])
    assert here["series"]['network_bond_slaves{bond="bond1"}'] == 0
    assert here["series"]['network_bond_ports{bond="bond1"}'] == 0
    assert here["sentences"][0] == "The bond bond1 is up and has no interface (network_bond_slaves)."


def test_vlans_and_dummies_are_told(told):
    """Of a VLAN its number and its parent; stacked ones too."""
    infos = [name for name in told["healthy"]["series"] if name.startswith("network_interface_info")]
    shown = {name.split('"')[1]: name for name in infos}
    assert 'kind="vlan"' in shown["bond0.7"]
    assert 'parent="bond0"' in shown["bond0.7"]
    assert 'vlan="7"' in shown["bond0.7"]
    assert 'parent="dummy0",master="",vlan="4094"' in shown["outer"]
    assert 'kind="dummy"' in shown["dummy0"]
