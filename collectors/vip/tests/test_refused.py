"""What is said where the unit lets nobody ask the kernel for addresses."""

import subprocess
import sys

import pytest
from netns import NO_NETLINK


@pytest.mark.parametrize("setting", ["addresses=[]", 'addresses=["192.0.2.10"]'])
def test_a_unit_that_forbids_netlink_is_named(setting):
    """With and without named addresses somebody has to change RestrictAddressFamilies, and is told so."""
    run = f"""
import sys
from rscollector.cli.main import main
sys.argv = ["rscollector", "collect", "vip", "--set", {setting!r}]
sys.exit(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", NO_NETLINK + run], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "misconfigured: netlink: this process may not ask the kernel" in done.stderr
    assert "RestrictAddressFamilies of the unit must allow AF_NETLINK" in done.stderr
